"""Wakes an agent within milliseconds of the end of a job: the kernel tells when the job's keeper ends."""

import asyncio
import contextlib
import os

from penstock.infrastructure.process import procfs

#: How long a wait may last while there is a job whose end nobody will tell, in seconds.
_BLIND = 0.25


class News:
    """Watches keepers, by pid and start time, in one event loop. It only wakes: what happened is in the folders."""

    def __init__(self) -> None:
        self._happened = asyncio.Event()
        self._watched: dict[tuple[int, int], int] = {}
        self._blind = False

    def watch(self, pid: int, start_time: int) -> None:
        """Wake the next `wait` when this process has ended. Watching it twice is watching it once."""
        if (pid, start_time) in self._watched:
            return
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:  # it cannot be seen from here, or the kernel does not have this
            self._blind = True
            return
        if not procfs.is_alive(pid, start_time):
            os.close(descriptor)
            self._happened.set()
            return
        self._watched[pid, start_time] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, pid, start_time)

    async def wait(self, timeout: float) -> None:
        """Return when a watched process has ended since the last call, or after `timeout` seconds."""
        if self._blind:
            timeout, self._blind = min(timeout, _BLIND), False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._happened.wait(), timeout)
        self._happened.clear()

    def close(self) -> None:
        for pid, start_time in list(self._watched):
            self._forget(pid, start_time)

    def _ended(self, pid: int, start_time: int) -> None:
        self._forget(pid, start_time)
        self._happened.set()

    def _forget(self, pid: int, start_time: int) -> None:
        descriptor = self._watched.pop((pid, start_time))
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
