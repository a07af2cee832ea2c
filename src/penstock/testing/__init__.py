"""For tests of anything built on Penstock: throw-away servers and agents, a fault proxy, the drivers' exam.

with server() as running, agent(running, "--work-queue", "default"):
    ...
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.testing.agents import TestAgent as TestAgent
    from penstock.testing.agents import agent as agent
    from penstock.testing.fault_proxy import Fault as Fault
    from penstock.testing.fault_proxy import FaultProxy as FaultProxy
    from penstock.testing.harness import penstock_test_harness as penstock_test_harness
    from penstock.testing.servers import TestServer as TestServer
    from penstock.testing.servers import server as server
    from penstock.testing.wait import wait_until as wait_until

_PUBLIC = {
    "Fault": "fault_proxy",
    "FaultProxy": "fault_proxy",
    "TestAgent": "agents",
    "TestServer": "servers",
    "agent": "agents",
    "penstock_test_harness": "harness",
    "server": "servers",
    "wait_until": "wait",
}

__all__ = [
    "Fault",
    "FaultProxy",
    "TestAgent",
    "TestServer",
    "agent",
    "penstock_test_harness",
    "server",
    "wait_until",
]


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'penstock.testing' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"penstock.testing.{module}"), name)
