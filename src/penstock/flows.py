"""Flows, under the module name that users of Prefect 2 know."""

from penstock.engine.code import load_flow_from_entrypoint, load_flow_from_script, load_flows_from_script
from penstock.sdk.flows import Flow, flow

__all__ = ["Flow", "flow", "load_flow_from_entrypoint", "load_flow_from_script", "load_flows_from_script"]
