"""Loggers of runs, and of what is written around them."""

import logging
import sys

from penstock.engine.log_formatters import JsonFormatter, PenstockFormatter
from penstock.engine.log_handlers import APILogHandler, PenstockConsoleHandler
from penstock.engine.prints import print_as_log, printing_as_logs
from penstock.engine.run_logs import (
    RunLogger,
    disable_logger,
    disable_run_logger,
    flow_run_logger,
    get_run_logger,
    task_run_logger,
)
from penstock.logs import FORMAT, TIME_FORMAT, level_number

__all__ = [
    "APILogHandler",
    "JsonFormatter",
    "PenstockConsoleHandler",
    "PenstockFormatter",
    "RunLogger",
    "disable_logger",
    "disable_run_logger",
    "flow_run_logger",
    "get_logger",
    "get_run_logger",
    "print_as_log",
    "printing_as_logs",
    "task_run_logger",
]


class _WhereNobodyListens(logging.StreamHandler):  # type: ignore[type-arg]
    """Shows lines of Penstock's loggers in programs that have not configured logging themselves."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            self.stream = sys.stderr
            super().emit(record)


_SHOWN = _WhereNobodyListens()
_SHOWN.setFormatter(logging.Formatter(FORMAT, TIME_FORMAT))


def get_logger(name: str | None = None) -> logging.Logger:
    """The logger ``penstock.NAME``, or ``penstock`` itself: for lines that belong to no run. They are not sent anywhere.

    PENSTOCK_LOGGING_LEVEL is its level, and they are shown on standard error, unless the program's own configuration of
    logging says otherwise.
    """
    from penstock import settings

    parent = logging.getLogger("penstock")
    if parent.level == logging.NOTSET:
        parent.setLevel(level_number(settings.get("PENSTOCK_LOGGING_LEVEL")))
    if not parent.hasHandlers():
        parent.addHandler(_SHOWN)
    if not name or name == "penstock":
        return parent
    return logging.getLogger(name) if name.startswith("penstock.") else parent.getChild(name)
