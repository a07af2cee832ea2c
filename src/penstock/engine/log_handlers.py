"""Where records of runs go: to whoever looks on, and to the server."""

import logging
import os
import sys
import threading
import warnings
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID
from weakref import WeakValueDictionary

from penstock import settings
from penstock.clock import monotonic
from penstock.engine import lines, wire
from penstock.engine.context import FLOW_RUN, TASK_RUN, FlowRunContext, TaskRunContext
from penstock.engine.moments import moment
from penstock.errors import APIError, MissingContext
from penstock.model.base import plain

FLOW_RUNS = "penstock.flow_runs"
TASK_RUNS = "penstock.task_runs"

#: Seconds that a single line of another process's run may take to be sent.
POST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TaskRunLines:
    """A task run of this process of which only the model is at hand: enough to say where its lines belong."""

    flow_run_context: FlowRunContext
    id: UUID
    name: str


RunContext = FlowRunContext | TaskRunContext

#: flow runs of this process, by id, for as long as somebody holds them
_runs: WeakValueDictionary[UUID, FlowRunContext] = WeakValueDictionary()
_missing_told: set[str] = set()


def adopt(run: FlowRunContext) -> None:
    """Lines that name `run` by its id, or come from threads of its program, belong to it from now on."""
    _runs.setdefault(run.flow_run.id, run)


def run_with_id(flow_run_id: UUID) -> FlowRunContext | None:
    """The run, if this process executes it now."""
    run = _runs.get(flow_run_id)
    return None if run is None or run.session.reporter.over else run


def run_around() -> RunContext | None:
    """The run that the calling code belongs to.

    In a thread that user code has started, which knows of no run, that is the only run of the program, if it has been
    called by the main thread: then there is no other that the line could mean.
    """
    found = TASK_RUN.get() or FLOW_RUN.get()
    if found is not None or not _runs or threading.current_thread() is threading.main_thread():
        return found
    outermost = [run for run in _runs.values() if run.parent is None and not run.session.reporter.over]
    if len(outermost) != 1 or outermost[0].session.thread != threading.main_thread().ident:
        return None
    return None if threading.current_thread().name.startswith("penstock-") else outermost[0]


def title_of(context: RunContext | TaskRunLines) -> str:
    if not isinstance(context, FlowRunContext):
        return f"Task run '{context.name}'"
    return f"Flow run '{context.flow_run.name}'"


def show(stamp: lines.Stamp, level: str, title: str, message: str, colour: str = "") -> None:
    """One line for whoever looks on."""
    text = lines.console_text(stamp, level, title, message)
    write(sys.stderr, f"{colour}{text[:-1]}\x1b[0m\n" if colour else text)


def write(stream: IO[str] | None, text: str) -> None:
    try:
        if stream is not None:
            stream.write(text)
            stream.flush()
    except UnicodeEncodeError:
        write(stream, text.encode("ascii", "backslashreplace").decode("ascii"))
    except (OSError, ValueError):
        return  # nobody looks on any more; the server still gets the line


def report(
    context: RunContext | TaskRunLines, name: str, level: int, message: str, stamp: lines.Stamp, keep_end: bool
) -> None:
    """Send one line of `context` to the server, cut if it is too long: that is told once, in a line of its own."""
    if isinstance(context, FlowRunContext):
        run, task_run_id = context, None
    else:
        run, task_run_id = context.flow_run_context, str(context.id)
    session = run.session
    if not session.logs_to_api:
        return
    if name in _OURS:
        name = FLOW_RUNS if task_run_id is None else TASK_RUNS
    text, left_out = message, 0
    if len(message) * 4 > session.longest_line:  # no character takes more bytes
        text, left_out = lines.cut(message, session.longest_line, keep_end=keep_end)
    reporter = session.reporter
    # A line that names no run is the reporter's own run's: most lines are, and so are a quarter shorter.
    flow_run_id = None if run.id_text == reporter.id_text else run.id_text
    reporter.log(wire.log_line(name, level, text, stamp.utc, flow_run_id, task_run_id))
    if left_out and not session.cut_told:
        session.cut_told = True
        told = (
            f"A line of {len(message)} characters was cut for the server; later ones will be, too. "
            f"PENSTOCK_LOGGING_TO_API_MAX_LOG_SIZE, now {session.longest_line} bytes, sets where."
        )
        stamp = lines.Stamp(moment())
        show(stamp, "WARNING", title_of(context), told)
        reporter.log(wire.log_line(name, logging.WARNING, told, stamp.utc, flow_run_id, task_run_id))


_OURS = frozenset({FLOW_RUNS, TASK_RUNS})


class _Lockless(logging.Handler):
    """A handler that writes whole lines at once and so needs no lock: threads that log do not wait for each other."""

    def createLock(self) -> None:
        self.lock = None

    def handle(self, record: logging.LogRecord) -> Any:
        found: Any = self.filter(record)
        if found:
            self.emit(found if isinstance(found, logging.LogRecord) else record)
        return found


class APILogHandler(_Lockless):
    """Reports records to the server, as lines of the run that they were written in.

    What happens with a record outside of any run says PENSTOCK_LOGGING_TO_API_WHEN_MISSING_FLOW. A record that comes
    by several loggers is reported once.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            context = _context_of(record, self.missing)
            if context is not None:
                self._take(context, record)
        except MissingContext:
            raise
        except Exception:
            self.handleError(record)

    def missing(self, record: logging.LogRecord) -> None:
        """Say that a record belongs to no run, as the setting wants it. Raises MissingContext if that is "error"."""
        wanted = settings.get("PENSTOCK_LOGGING_TO_API_WHEN_MISSING_FLOW")
        told = f"Logger '{record.name}' was to send a line to the server, but there is no flow run here"
        if wanted == "error":
            raise MissingContext(
                told, hint="Log inside of a flow or task, or set PENSTOCK_LOGGING_TO_API_WHEN_MISSING_FLOW=ignore."
            )
        if wanted == "warn" and record.name not in _missing_told:
            _missing_told.add(record.name)
            warnings.warn(f"{told}. PENSTOCK_LOGGING_TO_API_WHEN_MISSING_FLOW=ignore silences this.", stacklevel=8)

    def _take(self, context: RunContext | TaskRunLines, record: logging.LogRecord) -> None:
        report(
            context, record.name, record.levelno, lines.message_of(record), lines.Stamp(moment()), bool(record.exc_info)
        )


class RunHandler(APILogHandler):
    """Both at once: shows a record and reports it. What runs use unless a logging file says otherwise."""

    def _take(self, context: RunContext | TaskRunLines, record: logging.LogRecord) -> None:
        message = lines.message_of(record)
        stamp = lines.Stamp(moment())
        if record.name in _OURS or not _is_shown_elsewhere(record):
            title = getattr(record, "penstock_title", None) or title_of(context)
            colour = _colour(record.levelno, sys.stderr) if record.levelno >= logging.WARNING else ""
            shown = record.__dict__.get("penstock_brief") or message
            show(stamp, record.levelname, title, shown, colour)
        report(context, record.name, record.levelno, message, stamp, bool(record.exc_info))


class PenstockConsoleHandler(_Lockless):
    """Shows records on standard error, or on `stream`, in colours by level if that is a terminal that shows any.

    `styles` takes the place of colours: level name, in small letters, to an escape sequence's numbers such as "1;31".
    """

    def __init__(
        self, stream: IO[str] | None = None, styles: dict[str, str] | None = None, level: int | str = logging.NOTSET
    ) -> None:
        super().__init__(level)
        self._stream = stream
        self._styles = styles or {}
        for style in self._styles.values():
            if not all(number.isdigit() for number in str(style).split(";")):
                raise ValueError(f"the style {style!r} is no escape sequence's numbers, such as 1;31")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            stream = self._stream or sys.stderr
            text = self.format(record)
            colour = _colour(record.levelno, stream, self._styles.get(record.levelname.lower()))
            write(stream, f"{colour}{text}\x1b[0m\n" if colour else f"{text}\n")
        except Exception:
            self.handleError(record)


def _context_of(record: logging.LogRecord, missing: Any) -> RunContext | TaskRunLines | None:
    """The run that the record belongs to; None if there is none here, or the record was taken already."""
    marked = record.__dict__
    if "penstock_taken" in marked:
        return None
    context: RunContext | TaskRunLines | None = marked.get("penstock_run", _UNKNOWN)
    if context is _UNKNOWN:
        context = run_around()
        if context is None:
            missing(record)
            return None
    marked["penstock_taken"] = True
    if context is None:
        _post(record)
    return context


#: of a record that does not say to which run it belongs
_UNKNOWN: Any = object()


def _post(record: logging.LogRecord) -> None:
    """Show a line of a run that another process executes, and send it at once, by itself."""
    from penstock.client.logs import create_logs
    from penstock.client.sync import get_sync_client
    from penstock.model.logs import LogCreate

    timestamp, message = moment(), lines.message_of(record)
    show(lines.Stamp(timestamp), record.levelname, record.__dict__["penstock_title"], message)
    if not settings.get("PENSTOCK_LOGGING_TO_API"):
        return
    text, _ = lines.cut(message, settings.get("PENSTOCK_LOGGING_TO_API_MAX_LOG_SIZE"), keep_end=bool(record.exc_info))
    line = LogCreate(
        name=record.name,
        level=record.levelno,
        message=plain(text),
        timestamp=timestamp,
        flow_run_id=record.__dict__["flow_run_id"],
        task_run_id=record.__dict__.get("task_run_id"),
    )
    try:
        with get_sync_client() as client:
            client.send(create_logs([line]), deadline=monotonic() + POST_SECONDS)
    except APIError as error:
        write(sys.stderr, f"penstock: the line above did not reach the server: {error}\n")


def _is_shown_elsewhere(record: logging.LogRecord) -> bool:
    """Whether the record of an extra logger reaches a terminal by a handler of the program as well."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout):
                return True
        logger = logger.parent if logger.propagate else None
    return False


def _colour(level: int, stream: IO[str] | None, style: str | None = None) -> str:
    """What a line begins with on a terminal, unless the user wants no colours."""
    if stream is None or not stream.isatty() or os.environ.get("NO_COLOR"):
        return ""
    if not settings.get("PENSTOCK_LOGGING_COLORS"):
        return ""
    return f"\x1b[{style}m" if style else lines.colour_of(level)
