"""Tracebacks as the user's code has earned them: without the frames of Penstock around it, and shown once."""

import logging
import os
from contextlib import suppress
from types import TracebackType

from penstock.engine.outcomes import describe
from penstock.errors import PenstockError

_PENSTOCK = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: Where exceptions of ended runs are raised anew.
_STATES = os.path.join(_PENSTOCK, "model", "states.py")
#: Attributes of exceptions: their traceback when a run ended with them; whether a log has shown them.
_ORIGIN, _SHOWN = "_penstock_origin", "_penstock_shown"


class _Origin:
    """A traceback that an exception carries along, but not to another process: there it is None."""

    __slots__ = ("traceback",)

    def __init__(self, traceback: TracebackType | None) -> None:
        self.traceback = traceback

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class RemoteTraceback(Exception):
    """The cause of an exception that was raised on a worker: its text is the traceback from there."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def users_part(error: BaseException) -> ExcInfo:
    """`error` as exc_info, its traceback starting at the first frame that is not Penstock's.

    The whole, if there is none. Nothing, if it was raised on a worker: the traceback of that is its cause.
    """
    if isinstance(error.__cause__, RemoteTraceback):
        return type(error), error, None
    return type(error), error, _below_ours(error.__traceback__) or error.__traceback__


def cut_to_users(error: BaseException) -> None:
    """Leave the user's frames in the traceback of `error`, which a run, or its future, is about to raise to its caller.

    An error in Penstock itself keeps all.
    """
    error.__traceback__ = _cut(error)


def _cut(error: BaseException) -> TracebackType | None:
    origin = getattr(error, _ORIGIN, None)
    if isinstance(origin, _Origin) and origin.traceback is not None:
        return origin.traceback
    found = _below_ours(error.__traceback__)
    if found is not None or isinstance(error, PenstockError) or isinstance(error.__cause__, RemoteTraceback):
        return found
    last = _last(error.__traceback__)
    return None if last is not None and last.tb_frame.f_code.co_filename == _STATES else error.__traceback__


def log_raised(
    logger: logging.LoggerAdapter[logging.Logger], what: str, error: BaseException, *, to_caller: bool
) -> None:
    """Log that `what` ended with `error`, which keeps its traceback for whoever raises it anew.

    The server gets the traceback. Whoever looks on sees it once: not here, if it is raised `to_caller` in the end, and
    not if it was shown before; then a line tells its place.
    """
    exc_info = users_part(error)
    brief = to_caller or getattr(error, _SHOWN, False)
    with suppress(AttributeError):  # an exception may be without room for attributes
        setattr(error, _ORIGIN, _Origin(exc_info[2]))
        setattr(error, _SHOWN, True)
    extra = {"penstock_brief": f"{what}: {describe(error)}{_place(exc_info[2])}"} if brief else None
    logger.error("%s", what, exc_info=exc_info, extra=extra)


def _place(traceback: TracebackType | None) -> str:
    last = _last(traceback)
    if last is None:
        return ""
    code = last.tb_frame.f_code
    return f" ({os.path.basename(code.co_filename)}:{last.tb_lineno}, in {code.co_name})"


def _below_ours(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_PENSTOCK):
        traceback = traceback.tb_next
    return traceback


def _last(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback
