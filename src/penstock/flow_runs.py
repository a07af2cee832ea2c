"""Runs of flows: pause, suspend and resume them, wait for them; under the module name that users of Prefect 2 know."""

from penstock.engine.run_control import pause_flow_run, resume_flow_run, suspend_flow_run
from penstock.sdk.flow_runs import wait_for_flow_run

__all__ = ["pause_flow_run", "resume_flow_run", "suspend_flow_run", "wait_for_flow_run"]
