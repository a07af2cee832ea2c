"""Processes that the kernel killed for lack of memory where this process runs.

The platform says so only of a job's main process. A child of it (a subprocess, a worker of a pool) is killed in silence:
the flow sees no more than a broken pool or the status -9. The kernel counts its victims per control group, and a
container sees its own at the root of the mounted tree, see cgroups(7). Where there is no container, that root has no
count (version 2) or one that does not move (version 1), and nothing is ever told.
"""

from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
#: (the count's file, the limit's file in bytes) of versions 2 and 1
_FILES = (("memory.events", "memory.max"), ("memory/memory.oom_control", "memory/memory.limit_in_bytes"))
#: A limit above this many bytes is none: version 1 says "unlimited" by a number near 2**63.
_NO_LIMIT = 2**60


@dataclass(frozen=True)
class Killed:
    """How many processes the kernel has killed so far; `limit` is the memory that all of them may use, in bytes."""

    count: int = 0
    limit: int | None = None

    def since(self, before: "Killed") -> str | None:
        """What was killed after `before`, in a sentence without its full stop; None if nothing was."""
        victims = self.count - before.count
        if victims <= 0:
            return None
        limit = f", whose limit is {self.limit / 2**20:.0f} MiB" if self.limit is not None else ""
        processes = "a process" if victims == 1 else f"{victims} processes"
        return f"The kernel killed {processes} of this container for lack of memory{limit}"


def killed(root: Path = _ROOT) -> Killed:
    """What the kernel has counted until now. Nothing, where it does not count or may not be asked."""
    for events, limit in _FILES:
        text = _text(root / events)
        if text is not None:
            count = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line).get("oom_kill", "0")
            most = _text(root / limit) or ""
            known = int(most) if most.isdecimal() else _NO_LIMIT
            return Killed(int(count), known if known < _NO_LIMIT else None)
    return Killed()


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
