"""Lines of runs: to stderr for whoever looks on, and to the server.

Runs log to ``penstock.flow_runs`` and ``penstock.task_runs``; PENSTOCK_LOGGING_EXTRA_LOGGERS names further loggers
whose lines belong to the run in which they are written.
"""

import builtins
import logging
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from penstock import settings
from penstock.engine import wire
from penstock.engine.context import FLOW_RUN, TASK_RUN, FlowRunContext, TaskRunContext, get_run_context
from penstock.engine.moments import moment
from penstock.engine.session import Session
from penstock.logs import level_number
from penstock.model.flow_runs import FlowRun

FLOW_RUNS = "penstock.flow_runs"
TASK_RUNS = "penstock.task_runs"

_lock = threading.Lock()
_prints = 0
_plain_print = builtins.print


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines belong to one run."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_run_logger() -> RunLogger:
    """A logger for the flow or task around the calling code. Raises MissingContext outside of a run."""
    return logger_of(get_run_context())


def logger_of(context: FlowRunContext | TaskRunContext) -> RunLogger:
    configure()
    if isinstance(context, TaskRunContext):
        return RunLogger(logging.getLogger(TASK_RUNS), {"run": context, "title": f"Task run '{context.name}'"})
    return RunLogger(logging.getLogger(FLOW_RUNS), {"run": context, "title": f"Flow run '{context.flow_run.name}'"})


class RunHandler(logging.Handler):
    """Writes lines of runs to stderr and reports them. Lines of other code, outside of any run, are left alone."""

    def emit(self, record: logging.LogRecord) -> None:
        context = getattr(record, "run", None) or TASK_RUN.get() or FLOW_RUN.get()
        if context is None:
            return
        try:
            message = record.getMessage()
            if record.exc_info:
                message = f"{message}\n{_FORMATTER.formatException(record.exc_info)}"
            self._report(context, record, message)
        except Exception:
            self.handleError(record)

    def _report(self, context: FlowRunContext | TaskRunContext, record: logging.LogRecord, message: str) -> None:
        timestamp = moment()
        print_line(timestamp, record.levelname, getattr(record, "title", None) or title_of(context), message)
        in_task = isinstance(context, TaskRunContext)
        flow_run = context.flow_run_context if isinstance(context, TaskRunContext) else context
        if flow_run.session.logs_to_api:
            task_run_id = str(context.id) if isinstance(context, TaskRunContext) else None
            name = record.name if record.name not in {FLOW_RUNS, TASK_RUNS} else (TASK_RUNS if in_task else FLOW_RUNS)
            flow_run.session.reporter.log(
                wire.log_line(name, record.levelno, message, timestamp, flow_run.id_text, task_run_id)
            )


_FORMATTER = logging.Formatter()
_HANDLER = RunHandler()


def title_of(context: FlowRunContext | TaskRunContext) -> str:
    if isinstance(context, TaskRunContext):
        return f"Task run '{context.name}'"
    return f"Flow run '{context.flow_run.name}'"


def print_line(timestamp: datetime, level: str, title: str, message: str) -> None:
    """One line for whoever looks on, in local time."""
    local = timestamp.astimezone()
    text = f"{local:%H:%M:%S}.{local.microsecond // 1000:03d} | {level:<7} | {title} - {message}\n"
    stream = sys.stderr
    try:
        stream.write(text)
        stream.flush()
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
    except (OSError, ValueError):
        return  # nobody looks on any more; the server still gets the line


def report_line(session: Session, flow_run: FlowRun, level: int, message: str) -> None:
    """A line of a flow run that has not begun: there is no context yet that a logger could find."""
    timestamp = moment()
    print_line(timestamp, logging.getLevelName(level), f"Flow run '{flow_run.name}'", message)
    if session.logs_to_api:
        session.reporter.log(wire.log_line(FLOW_RUNS, level, message, timestamp, str(flow_run.id), None))


def configure() -> None:
    """Attach the handler to the loggers of runs and to the extra ones. Doing it again changes nothing."""
    level = level_number(settings.get("PENSTOCK_LOGGING_LEVEL"))
    for name in (FLOW_RUNS, TASK_RUNS):
        logger = logging.getLogger(name)
        if _HANDLER not in logger.handlers:
            logger.addHandler(_HANDLER)
            logger.propagate = False
            logger.setLevel(level)
    for name in str(settings.get("PENSTOCK_LOGGING_EXTRA_LOGGERS")).split(","):
        extra = logging.getLogger(name.strip()) if name.strip() else None
        if extra is not None and _HANDLER not in extra.handlers:
            extra.addHandler(_HANDLER)
            if extra.level == logging.NOTSET:
                extra.setLevel(level)


@contextmanager
def printing_as_logs(active: bool) -> Iterator[None]:
    """While the body runs, `print` in runs that want it is a log line.

    Elsewhere, and with ``file=``, it stays what it was.
    """
    global _prints
    if not active:
        yield
        return
    with _lock:
        _prints += 1
        builtins.print = _print_as_log
    try:
        yield
    finally:
        with _lock:
            _prints -= 1
            if _prints == 0:
                builtins.print = _plain_print


def _print_as_log(
    *values: Any, sep: str | None = None, end: str | None = None, file: Any = None, flush: bool = False
) -> None:
    context = TASK_RUN.get() or FLOW_RUN.get()
    if context is None or not context.log_prints or file not in {None, sys.stdout, sys.stderr}:
        _plain_print(*values, sep=sep, end=end, file=file, flush=flush)
        return
    logger_of(context).info("%s", (" " if sep is None else sep).join(str(value) for value in values))
