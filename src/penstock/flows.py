"""Flows, under the module name that users of Prefect 2 know."""

from typing import TYPE_CHECKING, Any

from penstock.sdk.flows import Flow, flow

if TYPE_CHECKING:
    from penstock.engine.code import load_flow_from_entrypoint as load_flow_from_entrypoint
    from penstock.engine.code import load_flow_from_script as load_flow_from_script
    from penstock.engine.code import load_flows_from_script as load_flows_from_script

#: Found in the engine when they are used: who only writes flows need not load it.
_LOADERS = ("load_flow_from_entrypoint", "load_flow_from_script", "load_flows_from_script")

__all__ = ["Flow", "flow", "load_flow_from_entrypoint", "load_flow_from_script", "load_flows_from_script"]


def __getattr__(name: str) -> Any:
    if name not in _LOADERS:
        raise AttributeError(f"module 'penstock.flows' has no attribute {name!r}")
    from penstock.engine import code

    return getattr(code, name)
