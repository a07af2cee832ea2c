"""The launcher's loop: takes orders from drivers over a unix socket, forks a keeper per job, reaps what has ended.

One thread, one selector; nothing in it waits for anything else. It knows nothing that is not in the job folders, so it
may be killed at any time: the keepers go on, and the next launcher does its work. Requests and answers are JSON, one
per line:

    {"id": 1, "op": "hello"}                -> {"id": 1, "version", "interpreter", "stamp", "warm", "pid"}
    {"id": 2, "op": "start", "job": {…}}    -> {"id": 2} started, or it was there before
                                               {"id": 2, "error": {"kind": "rejected", "reason", "message"}}
                                               {"id": 2, "error": {"kind": "busy"}} somebody else is about to; ask again
                                               {"id": 2, "error": {"kind": "retired"}} ask a new launcher
    {"id": 3, "op": "retire"}               -> {"id": 3} and no further request is taken
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock import clock, settings
from penstock.infrastructure.process import keeper, main_process, procfs, settle, warmth
from penstock.infrastructure.process.address import Address
from penstock.infrastructure.process.folder import JobFolder
from penstock.infrastructure.process.main_process import Start
from penstock.infrastructure.process.records import RequestRecord
from penstock.infrastructure.process.switchboard import Client, Switchboard
from penstock.model.reasons import Reason
from penstock.version import __version__

#: Seconds between two looks at whether the launcher is still needed and findable, and whether the code has changed.
_LOOK_AROUND = 5.0
_STAMP_HOLDS = 1.0
#: How long a launcher that takes no more orders may take to be gone, in seconds, and between two looks at that.
_LEAVING, _PAUSE = 10.0, 0.02
#: What an interrupted start left is removed when it is so old, in seconds.
_LEFT_OVER = 600.0


@dataclass(eq=False)
class _Starting:
    """A job whose keeper has not answered yet, and who waits for that answer."""

    folder: JobFolder
    answer: int
    said: bytes = b""
    waiters: list[tuple[Client, Any]] = field(default_factory=list)


def run(home: Path, engine: str) -> int:
    """Be the launcher of `home` for that engine until nobody needs it. Returns at once if there is one."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(home)
    sys.path[:1] = []  # the folder we were started in is no place to import from
    address = Address(home, engine)
    right = _take_over(address)
    if right is None:
        return 0
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    procfs.become_subreaper()
    procfs.set_name("penstock-launch")
    with address.listen() as listener:  # who asks from now on waits until we are warm
        JobFolder.sweep(home, older_than=_LEFT_OVER)
        mark = warmth.stamp()
        cold_reason = warmth.load(engine) if settings.get("PENSTOCK_LAUNCHER_WARM") else "PENSTOCK_LAUNCHER_WARM is off"
        Launcher(address, listener, mark, cold_reason).serve()
    os.close(right)
    return 0


def _take_over(address: Address) -> int | None:
    """The right to be the launcher; None if there is one that listens. Waits for one that is leaving."""
    deadline = clock.monotonic() + _LEAVING
    while (right := address.take()) is None:
        with contextlib.suppress(OSError):
            address.connect().close()
            return None
        if clock.monotonic() > deadline:
            return None
        time.sleep(_PAUSE)
    return right


class Launcher:
    """The state of the loop. `mark` is the stamp of the code that was loaded; `cold_reason` why nothing was."""

    def __init__(self, address: Address, listener: socket.socket, mark: str, cold_reason: str | None) -> None:
        self._address = address
        self._mark, self._cold_reason = mark, cold_reason
        self._stamp_checked = clock.monotonic()
        self._idle_seconds = float(settings.get("PENSTOCK_LAUNCHER_IDLE_SECONDS"))
        self._needed_at = clock.monotonic()
        self._starting: dict[str, _Starting] = {}
        self._keepers: dict[int, JobFolder] = {}
        self._settlers: set[int] = set()
        self._retired = False
        self._told_to_leave = False
        self._inode = os.stat(address.socket).st_ino
        self._selector = selectors.DefaultSelector()
        self._switchboard = Switchboard(self._selector, listener, self._obey)
        self._watch_children()

    def serve(self) -> None:
        """Serve until there was nothing to do for long enough, or, once retired, until every answer is given."""
        while not self._may_leave():
            for key, _ in self._selector.select(min(_LOOK_AROUND, self._idle_seconds)):
                key.data()
        self._retire()
        self._selector.close()

    def _may_leave(self) -> bool:
        now = clock.monotonic()
        if self._switchboard.clients or self._starting or self._keepers or self._settlers:
            self._needed_at = now
        if self._told_to_leave or not self._is_findable():
            self._retire()
        if self._retired:
            return not self._starting and self._switchboard.is_flushed()
        return now - self._needed_at >= self._idle_seconds

    def _is_findable(self) -> bool:
        try:
            return os.stat(self._address.socket).st_ino == self._inode
        except OSError:
            return False

    def _retire(self) -> None:
        """Take no more orders, and make room for another launcher. Jobs are not touched."""
        if self._retired:
            return
        self._retired = True
        if self._is_findable():
            self._address.socket.unlink()
        self._switchboard.hide()

    def _obey(self, client: Client, message: dict[str, Any]) -> None:
        number, operation = message.get("id"), message.get("op")
        if operation == "hello":
            self._switchboard.send(client, {"id": number, **self._introduction()})
        elif operation == "start":
            self._start(client, number, message["job"])
        elif operation == "retire":
            self._retire()
            self._switchboard.send(client, {"id": number})
        else:
            self._refuse(client, number, "rejected", Reason.UNKNOWN, f"The launcher does not know {operation!r}.")

    def _introduction(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "interpreter": sys.executable,
            "stamp": self._mark,
            "warm": self._cold_reason is None,
            "cold_reason": self._cold_reason,
            "pid": os.getpid(),
        }

    def _refuse(self, client: Client, number: Any, kind: str, reason: str | None = None, message: str = "") -> None:
        self._switchboard.send(client, {"id": number, "error": {"kind": kind, "reason": reason, "message": message}})

    # starting

    def _start(self, client: Client, number: Any, job: dict[str, Any]) -> None:
        if self._retired or self._is_outdated():
            self._retire()
            self._refuse(client, number, "retired")
            return
        request = RequestRecord.from_json({**job, "host_id": procfs.host_id(), "boot_id": procfs.boot_id()})
        folder = JobFolder(self._address.home, request.name)
        known = folder.request()
        if known is not None and (known.owner, known.attempt_id) != (request.owner, request.attempt_id):
            message = f"A job called {request.name!r} exists already and belongs to {known.owner!r}; it is left alone."
            self._refuse(client, number, "rejected", Reason.CONFIGURATION_INVALID, message)
            return
        if request.name in self._starting:
            self._starting[request.name].waiters.append((client, number))
            return
        try:
            folder.make()
            lock = folder.lock()
        except OSError as error:
            message = f"The job's folder {folder.path} cannot be made: {error}."
            self._refuse(client, number, "rejected", Reason.START_FAILED, message)
            return
        if folder.keeper() is not None:
            if lock is not None:
                os.close(lock)
            self._switchboard.send(client, {"id": number})
        elif lock is None:
            self._refuse(client, number, "busy")
        else:
            self._fork_keeper(folder, request, job, lock, (client, number))

    def _fork_keeper(
        self, folder: JobFolder, request: RequestRecord, job: dict[str, Any], lock: int, waiter: tuple[Client, Any]
    ) -> None:
        cold_reason = request.cold_reason or self._cold_reason or warmth.differs(job["env"])
        request = RequestRecord.from_json({**request.to_json(), "cold_reason": cold_reason})
        read, write = os.pipe()
        try:
            folder.clear()
            folder.work.mkdir(mode=0o700)
            folder.write_request(request)
            cwd = Path(request.cwd) if request.cwd else folder.work
            env = job["env"] if cold_reason is None else {"PYTHONUNBUFFERED": "1", **job["env"]}
            warm = self._address.engine if cold_reason is None else None
            start = Start(request.argv, env, cwd, folder.output, warm)
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
        except OSError as error:
            for descriptor in (read, write, lock):
                os.close(descriptor)
            folder.remove()
            self._refuse(*waiter, "rejected", Reason.START_FAILED, f"The process could not be started: {error}.")
            return
        if pid == 0:
            keeper.keep(folder, request, start, lock, write)
        os.close(write)
        os.close(lock)
        starting = _Starting(folder, read, waiters=[waiter])
        self._starting[folder.name] = starting
        self._keepers[pid] = folder
        self._selector.register(read, selectors.EVENT_READ, lambda: self._hear(starting))

    def _hear(self, starting: _Starting) -> None:
        """A keeper says how its start went. Its silence means that it was killed in the middle of it."""
        data = os.read(starting.answer, 65536)
        starting.said += data
        if data and not data.endswith(b"\n"):
            return
        self._selector.unregister(starting.answer)
        os.close(starting.answer)
        del self._starting[starting.folder.name]
        said: dict[str, Any] = json.loads(starting.said) if starting.said else {}
        if not starting.said and starting.folder.keeper() is None:
            starting.folder.remove()
            said = {"error": {"reason": Reason.START_FAILED, "message": "The process's keeper was killed."}}
        for client, number in starting.waiters:
            if "error" in said:
                self._refuse(client, number, "rejected", said["error"]["reason"], said["error"]["message"])
            else:
                self._switchboard.send(client, {"id": number})

    def _is_outdated(self) -> bool:
        now = clock.monotonic()
        if now - self._stamp_checked < _STAMP_HOLDS:
            return False
        self._stamp_checked = now
        return warmth.stamp() != self._mark

    # children

    def _watch_children(self) -> None:
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGTERM, lambda _number, _frame: setattr(self, "_told_to_leave", True))
        self._selector.register(read, selectors.EVENT_READ, lambda: self._reap(read))

    def _reap(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._settlers.discard(pid)
            folder = self._keepers.pop(pid, None)
            if folder is not None and folder.keeper() is not None and folder.exit() is None:
                self._fork_settler(folder)

    def _fork_settler(self, folder: JobFolder) -> None:
        """A keeper was killed: its job's processes are our children now, as nobody else's are but the keepers."""
        table = procfs.processes()
        known = {*self._keepers, *self._settlers}
        orphans = [
            (item.pid, item.start_time) for item in table.values() if item.ppid == os.getpid() and item.pid not in known
        ]
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                main_process.close_all_but({0, 1, 2})
                settle.settle(folder, orphans=orphans)
            finally:
                os._exit(0)
        self._settlers.add(pid)
