"""The keeper: one small process per job that outlives everybody else, so that the job's end is known and complete.

It is forked from the launcher, starts the job's main process, and waits. As a subreaper it becomes the parent of
whatever the job's processes leave behind, double forks and new sessions included; so "I have no children" means that
nothing of the job is left, and only then it writes exit.json. It talks to nobody: orders come as stop.json, with
SIGUSR1 to look at once.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from typing import NoReturn

from penstock import clock
from penstock.infrastructure.process import main_process, oom, procfs, tree
from penstock.infrastructure.process.folder import JobFolder
from penstock.infrastructure.process.main_process import Start
from penstock.infrastructure.process.records import ExitRecord, KeeperRecord, RequestRecord, StopRecord
from penstock.model.reasons import Reason

_WAKING = {signal.SIGCHLD, signal.SIGUSR1}
_IGNORED = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE]

#: What the job's main process leaves behind has this long to end by itself after a SIGTERM, in seconds.
LEFTOVER_GRACE = 2.0
#: A job whose folder was removed has this long after a SIGTERM, in seconds.
FORGOTTEN_GRACE = 5.0
#: A wish to stop is noticed without a signal too, should its writer not see us (another PID namespace); seconds.
_LOOK_AGAIN = 2.0
#: Seconds between two rounds of SIGKILL for what is still there.
_KILL_AGAIN = 0.1
#: How long it is tried to write the exit down, in seconds.
_DISK_PATIENCE = 60.0


def keep(folder: JobFolder, request: RequestRecord, start: Start, lock: int, answer: int) -> NoReturn:
    """Become the keeper of this job, in a child just forked from the launcher; never returns.

    Writes one line of JSON to `answer`: ``{"error": {"reason", "message"}}`` if the job could not be started, in which
    case nothing is left of it; else ``{}``. Holds `lock` to its end.
    """
    try:
        _detach({0, 1, 2, lock, answer})
        main = _start(folder, start, answer)
        if main is not None:
            _write_exit(folder, _Watch(folder, main).until_gone())
    except BaseException:
        print(f"The keeper of {request.name} broke:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        os._exit(1)
    finally:
        os._exit(0)


def _detach(kept: set[int]) -> None:
    signal.set_wakeup_fd(-1)
    # Blocked, so that they wait to be asked for. The default action of SIGCHLD drops it only while it is not blocked.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, _WAKING)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.setsid()
    main_process.close_all_but(kept)
    procfs.become_subreaper()
    procfs.set_name("penstock-keeper")


def _start(folder: JobFolder, start: Start, answer: int) -> "_Main | None":
    gate_read, gate_write = os.pipe()
    said_read, said_write = os.pipe()
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        main_process.become(start, keeper, gate_read, said_write)
    os.close(gate_read)
    os.close(said_write)
    main = _write_down(folder, pid, start.engine is not None)
    with contextlib.suppress(BrokenPipeError):
        os.write(gate_write, b"g")
    os.close(gate_write)
    said = _read_all(said_read)
    if not said:
        _answer(answer, {})
        return main
    os.waitpid(pid, 0)
    folder.remove()
    _answer(answer, {"error": json.loads(said)})
    return None


def _write_down(folder: JobFolder, pid: int, warm: bool) -> "_Main":
    keeper, main = procfs.entry(os.getpid()), procfs.entry(pid)
    assert keeper is not None  # this process
    assert main is not None  # a child that nobody has reaped
    folder.write_keeper(
        KeeperRecord(
            boot_id=procfs.boot_id(),
            keeper_pid=keeper.pid,
            keeper_start_time=keeper.start_time,
            main_pid=pid,
            main_start_time=main.start_time,
            host=socket.gethostname(),
            started_at=clock.now().isoformat(),
            warm=warm,
        )
    )
    return _Main(pid, time.clock_gettime(time.CLOCK_BOOTTIME))


def _write_exit(folder: JobFolder, record: ExitRecord) -> None:
    """Write the exit down. A full disk gets some time to become free; without an exit, the job will be called lost."""
    deadline = clock.monotonic() + _DISK_PATIENCE
    while not folder.is_gone():
        try:
            folder.write_exit(record)
            return
        except OSError:
            if clock.monotonic() > deadline:
                raise
        time.sleep(_KILL_AGAIN)


def _read_all(descriptor: int) -> bytes:
    pieces = []
    while piece := os.read(descriptor, 4096):
        pieces.append(piece)
    os.close(descriptor)
    return b"".join(pieces)


def _answer(answer: int, value: object) -> None:
    with contextlib.suppress(BrokenPipeError):  # the launcher has gone; the folder says it all
        os.write(answer, json.dumps(value).encode() + b"\n")
    os.close(answer)


@dataclass
class _Main:
    """The main process: `status` as waitpid gave it, None as long as it lives. `since` in seconds after the boot."""

    pid: int
    since: float
    status: int | None = None


class _Watch:
    """Waits until nothing of the job is left, and carries out wishes to stop it."""

    def __init__(self, folder: JobFolder, main: _Main) -> None:
        self._folder = folder
        self._main = main
        self._grace: float | None = None  # of the wish that is being carried out
        self._deadline: float | None = None
        self._stopped: str | None = None
        self._swept = False

    def until_gone(self) -> ExitRecord:
        """Block until the job has no process any more. Returns how it ended."""
        while self._reap():
            now = clock.monotonic()
            self._look_for_stop_order(now)
            if self._main.status is not None and not self._swept:
                self._sweep_politely(now)
            if self._deadline is not None and now >= self._deadline:
                self._force(now)
            signal.sigtimedwait(_WAKING, max(0.0, min(_LOOK_AGAIN, (self._deadline or now + _LOOK_AGAIN) - now)))
        return self._describe()

    def _reap(self) -> bool:
        """Take note of every child that has ended. False: there are no children any more."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._main.pid:
                self._main.status = status

    def _look_for_stop_order(self, now: float) -> None:
        order = self._order()
        if order is None or (self._grace is not None and order.grace >= self._grace):
            return
        first = self._grace is None
        self._grace = order.grace
        wanted = now + order.grace
        self._deadline = wanted if self._deadline is None else min(self._deadline, wanted)
        if first and self._main.status is None:
            self._stopped = "asked"
            for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped process hears nothing until it goes on
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._main.pid, number)

    def _order(self) -> StopRecord | None:
        """The wish to stop, if there is one. That the folder was removed is one: nobody can find this job any more."""
        try:
            return self._folder.stop_order() or (StopRecord(grace=FORGOTTEN_GRACE) if self._folder.is_gone() else None)
        except OSError:
            return None  # it will be looked for again

    def _sweep_politely(self, now: float) -> None:
        """The main process has ended and something of it goes on: ask it to end."""
        self._swept = True
        tree.send(tree.below([os.getpid()]), signal.SIGTERM)
        if self._deadline is None:
            self._deadline = now + LEFTOVER_GRACE

    def _force(self, now: float) -> None:
        if self._main.status is None and self._stopped:
            self._stopped = "forced"
        tree.kill(lambda: tree.below([os.getpid()]))
        self._deadline = now + _KILL_AGAIN

    def _describe(self) -> ExitRecord:
        status, ended_at = self._main.status, clock.now().isoformat()
        if status is None:  # somebody else has reaped it: what cannot be known is not made up
            return ExitRecord(ended_at=ended_at, stopped=self._stopped, reason=Reason.UNKNOWN)
        if os.WIFEXITED(status):
            return ExitRecord(ended_at=ended_at, code=os.WEXITSTATUS(status), stopped=self._stopped)
        number = os.WTERMSIG(status)
        memory = (
            number == signal.SIGKILL
            and self._stopped != "forced"
            and oom.killed_for_memory(self._main.pid, since=self._main.since)
        )
        return ExitRecord(ended_at=ended_at, signal=number, oom=memory, stopped=self._stopped)
