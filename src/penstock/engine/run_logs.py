"""Loggers of runs.

Runs log to ``penstock.flow_runs`` and ``penstock.task_runs``; PENSTOCK_LOGGING_EXTRA_LOGGERS names further loggers
whose lines belong to the run in which they are written.
"""

import logging
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock import settings
from penstock.engine import lines, logging_file, wire
from penstock.engine.context import FlowRunContext, TaskRunContext, get_run_context
from penstock.engine.log_handlers import (
    FLOW_RUNS,
    TASK_RUNS,
    RunContext,
    RunHandler,
    TaskRunLines,
    adopt,
    run_around,
    run_with_id,
    show,
    title_of,
)
from penstock.engine.moments import moment
from penstock.engine.session import Session
from penstock.errors import MissingContext
from penstock.logs import level_number
from penstock.model.flow_runs import FlowRun
from penstock.model.task_runs import TaskRun

__all__ = [
    "RunLogger",
    "begin",
    "configure",
    "disable_logger",
    "disable_run_logger",
    "flow_run_logger",
    "get_run_logger",
    "logger_of",
    "print_line",
    "report_line",
    "task_run_logger",
    "title_of",
]

_HANDLER = RunHandler()
#: Settings whose mistakes are to be told before there is a run.
_READ_LATER = ("PENSTOCK_LOGGING_TO_API_MAX_LOG_SIZE", "PENSTOCK_LOGGING_SPOOL_LIMIT_MB", "PENSTOCK_LOGGING_TO_API")
_configuring = threading.Lock()
#: what was configured last, and the loggers that were changed for it, with their level before and now
_configured: tuple[Any, ...] | None = None
_changed: dict[str, tuple[int, int]] = {}
#: loggers that `disable_logger` has disabled
_silenced: list[str] = []


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines belong to one run."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        extra = kwargs.get("extra")
        kwargs["extra"] = {**extra, **(self.extra or {})} if extra else self.extra
        return msg, kwargs

    def getChild(self, suffix: str, extra: dict[str, Any] | None = None) -> "RunLogger":
        """A logger for a part of the run: its name has that suffix, its lines belong to the same run."""
        return RunLogger(self.logger.getChild(suffix), {**(extra or {}), **(self.extra or {})})


def get_run_logger(context: RunContext | None = None, **extra: Any) -> logging.Logger | RunLogger:
    """A logger for the flow or task around the calling code, or for the run `context`.

    `extra` is put on each of its records. In a thread that the run's code has started, it is the logger of the flow run.
    Raises MissingContext outside of a run, unless `disable_run_logger` is in force: then its lines go nowhere.
    """
    found = context if context is not None else run_around()
    if found is not None:
        return logger_of(found, **extra)
    if logging.getLogger(FLOW_RUNS).disabled and logging.getLogger(TASK_RUNS).disabled:
        return _NOWHERE
    get_run_context()
    raise MissingContext("There is no run here")


def logger_of(context: RunContext, **extra: Any) -> RunLogger:
    if isinstance(context, TaskRunContext):
        run = context.flow_run_context
        facts = {
            **extra,
            "penstock_run": context,
            "penstock_title": title_of(context),
            "task_run_id": str(context.id),
            "task_run_name": context.name,
            "task_name": context.task.name,
            **_facts_of(run),
        }
        return RunLogger(_enabled(TASK_RUNS), facts)
    facts = {**extra, "penstock_run": context, "penstock_title": title_of(context), **_facts_of(context)}
    return RunLogger(_enabled(FLOW_RUNS), facts)


def _enabled(name: str) -> logging.Logger:
    """The logger of that name, enabled again if anybody else than `disable_logger` has disabled it."""
    logger = logging.getLogger(name)
    if logger.disabled and name not in _silenced:
        logger.disabled = False
        logger.warning(
            "The logger %s had been disabled, most likely by a configuration of logging that says nothing about "
            "disable_existing_loggers. It is enabled again; disable_run_logger() silences it.",
            name,
        )
    return logger


def _facts_of(run: FlowRunContext) -> dict[str, str]:
    return {"flow_run_id": run.id_text, "flow_run_name": run.flow_run.name, "flow_name": run.flow.name}


def flow_run_logger(flow_run: FlowRun, flow: Any = None, **extra: Any) -> RunLogger:
    """A logger for `flow_run`: for its hooks, and for code that only has the run.

    Lines of a run that another process executes are sent to the server one by one, as they are written.
    """
    run = run_with_id(flow_run.id)
    if run is not None:
        return logger_of(run, **extra)
    configure()
    facts = {
        **extra,
        "penstock_run": None,
        "penstock_title": f"Flow run '{flow_run.name}'",
        "flow_run_id": str(flow_run.id),
        "flow_run_name": flow_run.name,
        "flow_name": flow.name if flow is not None else _UNKNOWN,
    }
    return RunLogger(logging.getLogger(FLOW_RUNS), facts)


def task_run_logger(
    task_run: TaskRun, task: Any = None, flow_run: FlowRun | None = None, flow: Any = None, **extra: Any
) -> RunLogger:
    """A logger for `task_run`, as `flow_run_logger` is one for a flow run."""
    run = run_with_id(task_run.flow_run_id) if task_run.flow_run_id is not None else None
    configure()
    facts = {
        **extra,
        "penstock_run": None if run is None else TaskRunLines(run, task_run.id, task_run.name),
        "penstock_title": f"Task run '{task_run.name}'",
        "task_run_id": str(task_run.id),
        "task_run_name": task_run.name,
        "task_name": task.name if task is not None else _UNKNOWN,
        "flow_run_id": str(task_run.flow_run_id) if task_run.flow_run_id is not None else None,
        "flow_run_name": flow_run.name if flow_run is not None else _UNKNOWN,
        "flow_name": flow.name if flow is not None else _UNKNOWN,
    }
    return RunLogger(logging.getLogger(TASK_RUNS), facts if run is None else facts | _facts_of(run))


#: what a record says of what its logger was not given
_UNKNOWN = "<unknown>"


@contextmanager
def disable_logger(name: str) -> Iterator[None]:
    """In the body, the logger of that name takes nothing."""
    logger = logging.getLogger(name)
    before = logger.disabled
    logger.disabled = True
    _silenced.append(name)
    try:
        yield
    finally:
        _silenced.remove(name)
        logger.disabled = before


@contextmanager
def disable_run_logger() -> Iterator[None]:
    """In the body, run loggers take nothing, and `get_run_logger` works outside of runs.

    For tests of a task's plain function: ``with disable_run_logger(): my_task.fn(…)``.
    """
    with disable_logger(FLOW_RUNS), disable_logger(TASK_RUNS):
        yield


def print_line(level: str, title: str, message: str) -> None:
    """A line that only whoever looks on is told."""
    show(lines.Stamp(moment()), level, title, message)


def report_line(session: Session, flow_run: FlowRun, level: int, message: str) -> None:
    """A line of a flow run that has not begun: there is no context yet that a logger could find."""
    stamp = lines.Stamp(moment())
    show(stamp, logging.getLevelName(level), f"Flow run '{flow_run.name}'", message)
    if session.logs_to_api:
        text, _ = lines.cut(message, session.longest_line)
        line = wire.log_line(FLOW_RUNS, level, text, stamp.utc, str(flow_run.id), None)
        session.reporter.log(line)


def begin(run: FlowRunContext) -> None:
    """Have the loggers ready for `run`, as the settings are now."""
    configure()
    run.session.debug = logging.getLogger(TASK_RUNS).isEnabledFor(logging.DEBUG)
    adopt(run)


def configure() -> None:
    """Attach the handler to the loggers of runs and to the extra ones. Changes nothing if the settings are as before.

    Raises ConfigurationError for an unknown level, and for a logging file that cannot be used.
    """
    global _configured
    for name in _READ_LATER:
        settings.get(name)
    level = level_number(settings.get("PENSTOCK_LOGGING_LEVEL"))
    extras = str(settings.get("PENSTOCK_LOGGING_EXTRA_LOGGERS"))
    stamp = logging_file.stamp()
    wanted = (level, extras, stamp)
    if wanted == _configured:
        return
    with _configuring:
        _restore()
        wired = logging_file.apply(Path(stamp[0])).get("loggers", {}) if stamp is not None else {}
        for name in (FLOW_RUNS, TASK_RUNS):
            if not wired.get(name, {}).get("handlers"):
                _attach(name, level)
                logging.getLogger(name).propagate = False
        for name in filter(None, map(str.strip, extras.split(","))):
            _attach(name, level)
            if name == "py.warnings":
                logging.captureWarnings(True)
        _configured = wanted


def _attach(name: str, level: int) -> None:
    logger = logging.getLogger(name)
    if _HANDLER not in logger.handlers:
        logger.addHandler(_HANDLER)
    before = logger.level
    if before == logging.NOTSET:
        logger.setLevel(level)
    _changed[name] = (before, logger.level)


def _restore() -> None:
    """Undo what an earlier configuration has changed, but not what the program has changed since."""
    for name, (before, now) in _changed.items():
        logger = logging.getLogger(name)
        logger.removeHandler(_HANDLER)
        if logger.level == now:
            logger.setLevel(before)
    _changed.clear()


_NOWHERE = logging.getLogger("penstock.nowhere")
_NOWHERE.addHandler(logging.NullHandler())
_NOWHERE.propagate = False
