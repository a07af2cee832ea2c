"""For tests of anything built on Penstock: throw-away servers and agents, a fault proxy, the drivers' exam.

with server() as running, agent(running, "--work-queue", "default"):
    ...
"""

from typing import TYPE_CHECKING

from penstock.lazy import public_names

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
    "Fault": "penstock.testing.fault_proxy",
    "FaultProxy": "penstock.testing.fault_proxy",
    "TestAgent": "penstock.testing.agents",
    "TestServer": "penstock.testing.servers",
    "agent": "penstock.testing.agents",
    "penstock_test_harness": "penstock.testing.harness",
    "server": "penstock.testing.servers",
    "wait_until": "penstock.testing.wait",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = public_names(__name__, _PUBLIC)
