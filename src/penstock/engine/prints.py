"""`print` in runs that want it is a log line."""

import builtins
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from penstock.engine.context import FLOW_RUN, TASK_RUN
from penstock.engine.deadlines import DEBUGGERS
from penstock.engine.log_handlers import RunContext, run_around
from penstock.engine.run_logs import logger_of

_lock = threading.Lock()
_runs = 0
_plain_print = builtins.print
#: standard output as it was when the first of the runs began
_stdout: Any = None
#: what was printed without an end of line, by run and thread
_begun: dict[tuple[int, int], str] = {}


@contextmanager
def printing_as_logs() -> Iterator[None]:
    """While the body of a run that wants it runs, `print` in such runs is a log line.

    Elsewhere, with a ``file=`` of its own, and where output is caught in a string, it stays what it was. What is
    printed without an end of line is one line together with what follows; at the end of the body it is complete.
    """
    global _runs, _stdout
    context = TASK_RUN.get() or FLOW_RUN.get()
    with _lock:
        if _runs == 0:
            _stdout = sys.stdout
        _runs += 1
        builtins.print = print_as_log
    try:
        yield
    finally:
        if _begun and context is not None:
            _finish(context)
        with _lock:
            _runs -= 1
            if _runs == 0:
                builtins.print, _stdout = _plain_print, None


def print_as_log(
    *values: Any, sep: str | None = None, end: str | None = None, file: Any = None, flush: bool = False
) -> None:
    """`print`, whose text is a line of the run around it if that wants so. Takes what `print` takes."""
    if file is None or ((file is sys.stdout or file is sys.stderr) and not _is_of_debugger()):
        context = None if _is_caught() else run_around()
        if context is not None and context.log_prints:
            _log(context, values, sep, end)
            return
    _plain_print(*values, sep=sep, end=end, file=file, flush=flush)


def _is_of_debugger() -> bool:
    """Whether a debugger prints, which says something to whoever types into it, and nothing of the run."""
    name = sys._getframe(2).f_globals.get("__name__", "")
    return name.partition(".")[0] in DEBUGGERS or name.startswith("IPython.")


def _is_caught() -> bool:
    """Whether the code catches its own output: by `contextlib.redirect_stdout` into a string, for instance."""
    return sys.stdout is not _stdout and isinstance(sys.stdout, io.StringIO)


def _log(context: RunContext, values: tuple[Any, ...], sep: str | None, end: str | None) -> None:
    if len(values) == 1 and type(values[0]) is str and end is None and not _begun:
        logger_of(context).info("%s", values[0])
        return
    text = io.StringIO()
    _plain_print(*values, sep=sep, end=end, file=text)
    key = (id(context), threading.get_ident())
    with _lock:
        whole = _begun.pop(key, "") + text.getvalue()
        if not whole.endswith(("\n", "\r")):
            _begun[key] = whole
            return
    logger_of(context).info("%s", whole[:-1])


def _finish(context: RunContext) -> None:
    with _lock:
        keys = [key for key in _begun if key[0] == id(context)]
        rest = [_begun.pop(key) for key in keys]
    for text in rest:
        logger_of(context).info("%s", text)
