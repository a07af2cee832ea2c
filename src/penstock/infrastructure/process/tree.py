"""Kills process trees so that nothing escapes: stop all first, so that nobody forks meanwhile, then kill all."""

import os
import signal
from collections.abc import Callable, Iterable

from penstock.infrastructure.process.procfs import Entry, descendants, processes

#: How often we look again for children that were born while we stopped their parents.
_PASSES = 10


def below(roots: Iterable[int]) -> set[int]:
    """The living processes below `roots` now."""
    return descendants(roots, processes())


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to each; who is gone already is passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            continue  # it has become another user's, by a set-uid program; it ends when that ends


def kill(find: Callable[[], set[int]]) -> set[int]:
    """SIGKILL all that `find` finds, together with what they fork meanwhile. Returns the pids that were sent it.

    They are gone a moment later, which is for the caller to confirm.
    """
    stopped: set[int] = set()
    for _ in range(_PASSES):
        new = find() - stopped
        if not new:
            break
        send(new, signal.SIGSTOP)
        stopped |= new
    send(stopped, signal.SIGKILL)
    return stopped


def members(session: int, table: dict[int, Entry]) -> set[int]:
    """The living processes of a session."""
    return {item.pid for item in table.values() if item.session == session and item.alive}
