"""Flows, under the module name that users of Prefect 2 know."""

from typing import TYPE_CHECKING

from penstock.lazy import public_names
from penstock.sdk.flows import Flow, flow

if TYPE_CHECKING:
    from penstock.engine.code import load_flow_from_entrypoint as load_flow_from_entrypoint
    from penstock.engine.code import load_flow_from_script as load_flow_from_script
    from penstock.engine.code import load_flows_from_script as load_flows_from_script

#: Found in the engine when they are used: who only writes flows need not load it.
_LOADERS = dict.fromkeys(
    ("load_flow_from_entrypoint", "load_flow_from_script", "load_flows_from_script"), "penstock.engine.code"
)

__all__ = ["Flow", "flow", *_LOADERS]
__getattr__, __dir__ = public_names(__name__, _LOADERS)
