"""Processes that are frozen (SIGSTOP), and known to be."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from penstock.testing import wait_until


def freeze(pid: int) -> None:
    """Return when no thread of a process runs any more.

    The signal alone is not enough: `kill` returns before the threads have seen it, and one that is busy may still
    answer a call.
    """
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: set(_states(pid)) <= set("TZX"), message=f"process {pid} stops")


def _states(pid: int) -> Iterator[str]:
    """The letters of proc(5) for what each thread does: T is stopped, Z and X are over."""
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            yield thread.read_text().rpartition(")")[2].split()[0]
