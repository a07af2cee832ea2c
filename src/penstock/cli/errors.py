"""From an exception to what a user reads and a script tests: one clear line, a hint, an exit code."""

import errno
import json
import re
from dataclasses import dataclass
from typing import Any, TextIO

from penstock import errors
from penstock.cli import exit_codes


class UsageProblem(errors.PenstockError):
    """What was typed cannot be meant; nothing was done."""

    code = "usage"


class TimedOut(errors.PenstockError):
    """The time that was given with the command is over."""

    code = "timed_out"


class CheckFailed(errors.PenstockError):
    """A check found something wrong."""

    code = "check_failed"


#: The first class that fits decides.
_EXIT_CODES: tuple[tuple[type[errors.PenstockError], int], ...] = (
    (UsageProblem, exit_codes.USAGE),
    (TimedOut, exit_codes.TIMED_OUT),
    (CheckFailed, exit_codes.CHECK_FAILED),
    (errors.ConfigurationError, exit_codes.USAGE),
    (errors.ParameterError, exit_codes.USAGE),
    (errors.Unreachable, exit_codes.UNREACHABLE),
    (errors.NotAuthorized, exit_codes.NOT_AUTHORIZED),
    (errors.NotFound, exit_codes.NOT_FOUND),
    (errors.Invalid, exit_codes.USAGE),
    (errors.Conflict, exit_codes.CONFLICT),
    (errors.RunFailed, exit_codes.RUN_FAILED),
    (errors.RunCrashed, exit_codes.RUN_CRASHED),
    (errors.RunCancelled, exit_codes.RUN_CANCELLED),
)


#: What the system says of a disk that is full.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

#: Codes that say more than the class does.
_EXIT_CODES_BY_CODE = {
    "unknown_parameter": exit_codes.USAGE,
    "unfit_parameter": exit_codes.USAGE,
    "code_not_found": exit_codes.NOT_FOUND,
    "flow_not_found": exit_codes.NOT_FOUND,
}


@dataclass(frozen=True)
class Problem:
    """What is told of an error."""

    code: str
    message: str
    hint: str | None
    exit_code: int


def problem_of(error: BaseException) -> Problem:
    """What to tell of `error`. An exception that nobody raised on purpose is called a fault of Penstock's own."""
    if isinstance(error, errors.PenstockError):
        by_class = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), exit_codes.FAILURE)
        exit_code = _EXIT_CODES_BY_CODE.get(error.code, by_class)
        return Problem(error.code, error.message, error.hint, exit_code)
    import click

    if isinstance(error, click.UsageError):
        return _usage_problem(error)
    if isinstance(error, click.ClickException):
        return Problem("error", error.format_message(), None, exit_codes.FAILURE)
    if type(error).__name__ == "ValidationError" and hasattr(error, "errors"):
        return _wrong_value(error.errors())
    if isinstance(error, OSError) and error.filename:
        return Problem("file", f"{error.filename}: {error.strerror}", None, exit_codes.FAILURE)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Problem("no_room", f"It could not be written: {error.strerror}.", None, exit_codes.FAILURE)
    if isinstance(error, OSError) and error.errno is None and str(error):
        # not the system's, which have numbers, but a storage's own words about what it could not reach
        return Problem("storage", str(error), None, exit_codes.FAILURE)
    return Problem(
        "internal",
        f"This should not happen: {type(error).__name__}: {error}",
        "Run the command again with -vv to see the traceback.",
        exit_codes.FAILURE,
    )


def _wrong_value(faults: list[dict[str, Any]]) -> Problem:
    """Something that was typed does not fit the model that is sent; pydantic's words without its ornaments."""
    lines = []
    for fault in faults:
        place = ".".join(str(part) for part in fault["loc"])
        message = str(fault["msg"]).removeprefix("Value error, ")
        lines.append(message if place in {"", "name"} else f"{place}: {message}")
    return Problem("usage", "; ".join(lines), None, exit_codes.USAGE)


def _usage_problem(error: "object") -> Problem:
    import click

    assert isinstance(error, click.UsageError)
    hint = None
    message = re.sub(r"not a valid integer( range)?", "not a whole number", error.format_message())
    message = re.sub(r"not a valid float( range)?", "not a number", message)
    if isinstance(error, click.NoSuchOption):
        message = f"There is no option {error.option_name}."
        if error.ctx is not None:
            flags = [
                flag for parameter in error.ctx.command.params for flag in parameter.opts + parameter.secondary_opts
            ]
            known = [flag for flag in flags if flag.startswith("-")]
            close = errors.nearest(error.option_name, known)
            hint = f"Did you mean {close}?" if close else None
    if hint is None and error.ctx is not None:
        hint = f"See `{error.ctx.command_path} --help`."
    return Problem("usage", message, hint, exit_codes.USAGE)


def show(problem: Problem, stream: TextIO, *, as_json: bool, colour: bool) -> None:
    """Write `problem` to `stream`: two lines for people, or one JSON object with code, message and hint."""
    if as_json:
        body = {"code": problem.code, "message": problem.message, "hint": problem.hint}
        stream.write(json.dumps(body) + "\n")
        return
    red, cyan, off = ("\x1b[31m", "\x1b[36m", "\x1b[0m") if colour else ("", "", "")
    stream.write(f"{red}error{off}: {problem.message}\n")
    if problem.hint:
        stream.write(f"{cyan}hint{off}: {problem.hint}\n")


def wants_json(arguments: list[str]) -> bool:
    """Whether the command line asks for JSON, told from its words alone: it may be too wrong to be parsed."""
    for index, word in enumerate(arguments):
        if word in {"-ojson", "-ojsonl", "--output=json", "--output=jsonl", "--format=json", "--format=jsonl"}:
            return True
        if word in {"-o", "--output", "--format"} and arguments[index + 1 : index + 2] in (["json"], ["jsonl"]):
            return True
    return False
