"""What runs now, as plain values: ``from penstock.runtime import flow_run; flow_run.id``."""

from penstock.runtime import deployment, flow_run, task_run

__all__ = ["deployment", "flow_run", "task_run"]
