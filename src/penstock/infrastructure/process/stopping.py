"""How a job is made to stop from outside: by its keeper if it has one, without it if that was killed or does not react.

Every step looks at what is there now and may be repeated; the caller repeats `step` until it says that nothing is
there.
"""

import contextlib
import os
import signal
from pathlib import Path

from penstock import clock
from penstock.infrastructure.process import procfs
from penstock.infrastructure.process.folder import JobFolder
from penstock.infrastructure.process.observation import is_kept
from penstock.infrastructure.process.records import KeeperRecord, StopRecord
from penstock.infrastructure.process.settle import settle

#: Seconds beyond the grace that a keeper may take to carry out a wish to stop before it is passed over.
PATIENCE = 5.0


class Stop:
    """One stop of one job, `grace` seconds between the polite way and force."""

    def __init__(self, folder: JobFolder, grace: float) -> None:
        self._folder, self._grace = folder, grace
        self._keeper_has_until = clock.monotonic() + grace + PATIENCE
        self._asked = False

    def step(self) -> bool:
        """Do what is to be done now. True: the job is confirmed gone. Blocks while it settles one without a keeper."""
        keeper = self._folder.keeper()
        if self._folder.exit() is not None:
            return True
        if keeper is None:
            return not self._folder.is_kept()  # it is about to be started, or never was
        if not is_kept(self._folder, keeper):
            with contextlib.suppress(FileNotFoundError):
                settle(self._folder, self._grace)
        elif not self._asked:
            self._ask(keeper)
        elif clock.monotonic() > self._keeper_has_until:
            _signal(keeper, signal.SIGKILL)  # it hangs; the next step does its work
        return not self._folder.exists() or self._folder.exit() is not None

    def _ask(self, keeper: KeeperRecord) -> None:
        known = self._folder.stop_order()
        with contextlib.suppress(FileNotFoundError):
            self._folder.write_stop_order(StopRecord(grace=min(self._grace, known.grace if known else self._grace)))
        _signal(keeper, signal.SIGUSR1)
        self._asked = True


def _signal(keeper: KeeperRecord, number: int) -> None:
    """Send a signal to that very keeper, whatever has its pid by now."""
    if keeper.boot_id != procfs.boot_id() or not Path(f"/proc/{keeper.keeper_pid}").exists():
        return
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(keeper.keeper_pid)
        try:
            if procfs.is_alive(keeper.keeper_pid, keeper.keeper_start_time):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
