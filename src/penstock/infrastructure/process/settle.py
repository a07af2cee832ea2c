"""What is done about a job whose keeper was killed: nothing of it may go on unseen, nobody may guess how it ended."""

import os
import signal
import time
from collections.abc import Iterable

from penstock import clock
from penstock.infrastructure.process import procfs, tree
from penstock.infrastructure.process.folder import JobFolder
from penstock.infrastructure.process.records import ExitRecord, KeeperRecord
from penstock.infrastructure.variables import ATTEMPT_ID
from penstock.model.reasons import Reason

#: How long what was killed may take to be gone, in seconds. Only a process that hangs in the kernel takes longer.
_PATIENCE = 10.0
_PAUSE = 0.02


def settle(folder: JobFolder, grace: float = 0.0, orphans: Iterable[tuple[int, int]] = ()) -> bool:
    """Stop what is left of a job that has no keeper any more, confirm it gone, and write its exit down. Blocks.

    `orphans` are processes (pid, start time) known to be the job's that cannot be told by their looks. True: the exit
    is written, by us or by another. False: the job has a keeper, or is being settled by another, or something of it
    does not die. Raises FileNotFoundError if there is no such folder.
    """
    lock = folder.lock()
    if lock is None:
        return False
    try:
        keeper = folder.keeper()
        if folder.exit() is not None or keeper is None:
            return True
        if keeper.boot_id == procfs.boot_id() and not _stop_rest(folder, keeper, grace, list(orphans)):
            return False
        folder.write_exit(_lost(keeper))
        return True
    finally:
        os.close(lock)


def rest(folder: JobFolder, keeper: KeeperRecord, orphans: Iterable[tuple[int, int]] = ()) -> set[int]:
    """The living processes that can be told to be this job's: its main process, that one's session, those below it,
    and any that was started with the attempt's id in its environment, with all below them."""
    table = procfs.processes()
    roots = {pid for pid, start in orphans if pid in table and table[pid].start_time == start}
    main = table.get(keeper.main_pid)
    if main is not None and main.start_time == keeper.main_start_time:
        roots.add(main.pid)
    if main is None or main.pid in roots:  # else the pid, and the session with it, is somebody else's by now
        roots |= tree.members(keeper.main_pid, table)
    request = folder.request()
    if request is not None:
        variable = f"{ATTEMPT_ID}={request.attempt_id}".encode()
        roots |= {item.pid for item in table.values() if item.alive and procfs.has_variable(item.pid, variable)}
    found = {pid for pid in roots if table[pid].alive} | procfs.descendants(roots, table)
    return found - {os.getpid()}


def _stop_rest(folder: JobFolder, keeper: KeeperRecord, grace: float, orphans: list[tuple[int, int]]) -> bool:
    if grace > 0:
        asked = rest(folder, keeper, orphans)
        tree.send(asked, signal.SIGTERM)
        tree.send(asked, signal.SIGCONT)
        _wait_until_gone(folder, keeper, orphans, grace)
    deadline = clock.monotonic() + _PATIENCE
    while rest(folder, keeper, orphans):
        tree.kill(lambda: rest(folder, keeper, orphans))
        if clock.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _wait_until_gone(folder: JobFolder, keeper: KeeperRecord, orphans: list[tuple[int, int]], seconds: float) -> None:
    deadline = clock.monotonic() + seconds
    while clock.monotonic() < deadline and rest(folder, keeper, orphans):
        time.sleep(_PAUSE)


def _lost(keeper: KeeperRecord) -> ExitRecord:
    if keeper.boot_id != procfs.boot_id():
        reason, message = Reason.HOST_REBOOTED, f"{keeper.host} was rebooted while the process ran."
    else:
        reason = Reason.LOST
        message = (
            f"The process (pid {keeper.main_pid}) lost its keeper (pid {keeper.keeper_pid}), which somebody killed. "
            "It was stopped, because nobody can see any more how it ends; its exit code is unknown."
        )
    return ExitRecord(ended_at=clock.now().isoformat(), reason=reason, message=message)
