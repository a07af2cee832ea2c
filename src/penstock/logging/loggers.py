"""Loggers, under the module name that users of Prefect 2 know."""

from penstock.sdk.logging import RunLogger as PenstockLogAdapter
from penstock.sdk.logging import (
    disable_logger,
    disable_run_logger,
    flow_run_logger,
    get_logger,
    get_run_logger,
    print_as_log,
    task_run_logger,
)
from penstock.sdk.logging import printing_as_logs as patch_print

__all__ = [
    "PenstockLogAdapter",
    "disable_logger",
    "disable_run_logger",
    "flow_run_logger",
    "get_logger",
    "get_run_logger",
    "patch_print",
    "print_as_log",
    "task_run_logger",
]
