"""What a forked child does to become a job's main process: shed what it inherited, then run the command or engine."""

import atexit
import importlib
import importlib.util
import io
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
import types
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from penstock.infrastructure.process import procfs
from penstock.model.reasons import Reason

#: Where a package that can be started with ``python -m`` has its function to run warm: it returns the exit code.
ENGINE_MODULE, ENGINE_FUNCTION = "job", "main"

#: Signals that Python ignores, and that programs expect to find as they were.
_RESTORED = [signal.SIGPIPE, signal.SIGXFSZ]
_UNTOUCHABLE = {signal.SIGKILL, signal.SIGSTOP}


@dataclass(frozen=True)
class Start:
    """All that it takes to become the main process. `env` is complete, nothing is inherited.

    `engine` names the package to run in this very interpreter; None: `argv` is executed.
    """

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    output: Path
    engine: str | None


def become(start: Start, keeper: int, gate: int, answer: int) -> NoReturn:
    """Become the job's main process, in a child just forked from the keeper; never returns.

    Waits at `gate` until the keeper has written down who this is; an end of file there means that it never will. What
    goes wrong before the job's own code runs is written to `answer` as ``{"reason", "message"}``; that it is closed
    without a word means that it runs.
    """
    try:
        os.setsid()
        procfs.die_with_parent(signal.SIGKILL)
        _reset_signals(start.engine is not None)
        _redirect(start.output)
        close_all_but({0, 1, 2, gate, answer})
        _enter(start.cwd)
        if os.getppid() != keeper or os.read(gate, 1) != b"g":
            os._exit(1)
        os.close(gate)
        if start.engine is not None:
            run_engine(start.engine, start, answer)
        os.execvpe(start.argv[0], start.argv, start.env)
    except BaseException as error:
        refused = _explain(error, start)
        os.write(answer, json.dumps({"reason": refused.reason, "message": refused.message}).encode())
    finally:
        os._exit(127)


def close_all_but(kept: set[int]) -> None:
    """Close every descriptor of this process that is not among `kept`."""
    low = 0
    for descriptor in sorted(kept):
        if low < descriptor:  # an empty range is taken for all that there are
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def _reset_signals(warm: bool) -> None:
    for number in signal.valid_signals() - _UNTOUCHABLE:
        if signal.getsignal(number) not in {signal.SIG_DFL, None}:
            signal.signal(number, signal.SIG_DFL)
    if warm:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in _RESTORED:
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _redirect(output: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(written, 1)
    os.dup2(written, 2)


class _Refused(Exception):
    """A start that cannot work, with the reason."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def _enter(folder: Path) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise _Refused(
            Reason.CONFIGURATION_INVALID,
            f"working_dir: the process cannot start in {folder}: {error.strerror}. "
            "The folder has to exist on the machine of the agent.",
        ) from None


def _explain(error: BaseException, start: Start) -> _Refused:
    command = start.argv[0]
    if isinstance(error, _Refused):
        return error
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        where = "" if os.sep in command else f" in the job's PATH ({start.env.get('PATH', '')})"
        return _Refused(
            Reason.COMMAND_NOT_FOUND,
            f"The command {command!r} was not found{where}, or the interpreter that its first line names was not.",
        )
    if isinstance(error, PermissionError):
        return _Refused(
            Reason.NOT_PERMITTED,
            f"The command {command!r} may not be run: {error.strerror}. Is it executable for the agent's user?",
        )
    return _Refused(Reason.START_FAILED, f"The process could not be started: {error!r}.")


def run_engine(engine: str, start: Start, answer: int) -> NoReturn:
    """Run the engine in this interpreter as if it had been started just now with that environment and folder."""
    _look_newly_started(engine, start)
    entry = getattr(importlib.import_module(f"{engine}.{ENGINE_MODULE}"), ENGINE_FUNCTION)
    os.close(answer)
    code = 1
    try:
        code = entry()
    except SystemExit as end:
        code = _code_of(end)
    except KeyboardInterrupt:
        traceback.print_exc()
        code = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        _finish(code)


def _look_newly_started(engine: str, start: Start) -> None:
    os.environ.clear()
    os.environ.update(start.env)
    time.tzset()
    random.seed()
    importlib.invalidate_caches()
    program = importlib.util.find_spec(f"{engine}.__main__")
    main = types.ModuleType("__main__")
    main.__spec__ = program
    main.__file__ = program.origin if program else None
    # whoever spawns interpreters imports the main module again: it has to be the engine's, not ours
    sys.modules["__main__"] = main
    sys.argv = [str(main.__file__), *start.argv[3:]]
    sys.orig_argv = list(start.argv)
    sys.path.insert(0, str(start.cwd))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    procfs.set_name("penstock-job")


def _code_of(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _finish(code: int) -> NoReturn:
    """Leave as an interpreter does, without taking apart the modules that were there before the job was."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads that are no daemons
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        code = code or 1
    finally:
        os._exit(code)
