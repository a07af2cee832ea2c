"""Tracebacks as the user's code has earned them: without the frames of the engine above it."""

import os
from types import TracebackType

_ENGINE = os.path.dirname(os.path.abspath(__file__)) + os.sep

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class RemoteTraceback(Exception):
    """The cause of an exception that was raised on a worker: its text is the traceback from there."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def users_part(error: BaseException) -> ExcInfo:
    """`error` as exc_info, its traceback starting at the first frame that is not the engine's.

    The whole, if there is none. Nothing, if it was raised on a worker: the traceback of that is its cause.
    """
    if isinstance(error.__cause__, RemoteTraceback):
        return type(error), error, None
    found = error.__traceback__
    while found is not None and found.tb_frame.f_code.co_filename.startswith(_ENGINE):
        found = found.tb_next
    return type(error), error, found or error.__traceback__
