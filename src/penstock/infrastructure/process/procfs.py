"""What the kernel says of processes. One is known by its pid and its start time: a pid alone may be used again."""

import ctypes
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36


@dataclass(frozen=True)
class Entry:
    """One process of the process table. `start_time` is in clock ticks since the boot."""

    pid: int
    ppid: int
    session: int
    state: str
    start_time: int

    @property
    def alive(self) -> bool:
        """A zombie has ended; it only waits to be reaped."""
        return self.state not in "ZX"


@cache
def boot_id() -> str:
    """Names this very boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


@cache
def host_id() -> str:
    """Names this machine across boots: its machine id, or its host name where it has none."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            found = file.read().strip()
    except OSError:
        found = ""
    return found or socket.gethostname()


def entry(pid: int) -> Entry | None:
    """The process of that pid, or None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name of the program, in parentheses, may hold anything, parentheses and blanks included.
    fields = text[text.rindex(b")") + 2 :].split()
    return Entry(pid, int(fields[1]), int(fields[3]), fields[0].decode(), int(fields[19]))


def is_alive(pid: int, start_time: int) -> bool:
    """Whether the very process that had that pid and start time still runs (or is stopped, or traced)."""
    found = entry(pid)
    return found is not None and found.start_time == start_time and found.alive


def processes() -> dict[int, Entry]:
    """The process table, zombies included."""
    found = (entry(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {item.pid: item for item in found if item is not None}


def descendants(roots: Iterable[int], table: dict[int, Entry]) -> set[int]:
    """The living processes below `roots`, which are not among them."""
    children: dict[int, list[int]] = {}
    for item in table.values():
        children.setdefault(item.ppid, []).append(item.pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return {pid for pid in found if table[pid].alive}


def has_variable(pid: int, variable: bytes) -> bool:
    """Whether the process was started with ``NAME=value`` in its environment. False where that may not be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return variable in file.read().split(b"\0")
    except OSError:
        return False


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int | bytes) -> None:
    argument = ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value)
    if _libc().prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def become_subreaper() -> None:
    """Orphans below this process become its children, wherever they put themselves."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal_number: int) -> None:
    """The kernel sends this signal to this process when its parent ends. Survives exec, is not inherited."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def set_name(name: str) -> None:
    """What `ps -o comm` and `top` call this process. At most 15 characters are kept."""
    _prctl(_PR_SET_NAME, name.encode())
