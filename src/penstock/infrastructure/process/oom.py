"""Whether it was the kernel that killed a process for memory: its own log says so, by pid.

Without access to that log nobody knows.
"""

import os
import re

_KILLED = re.compile(rb"(?:Out of memory|Memory cgroup out of memory): Killed process (\d+) ")
_MOST_RECORDS = 100_000


def killed_for_memory(pid: int, log: str = "/dev/kmsg", since: float = 0.0) -> bool:
    """Whether the kernel's log says that it killed `pid` for lack of memory, `since` seconds after the boot."""
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        for _ in range(_MOST_RECORDS):
            try:
                record = os.read(descriptor, 8192)
            except BrokenPipeError:
                continue  # the record was overwritten while we read; the next one is whole
            except OSError:
                return False
            if not record:
                return False
            if tells_of(record, pid, since):
                return True
    finally:
        os.close(descriptor)
    return False


def tells_of(record: bytes, pid: int, since: float) -> bool:
    """Whether one record of the log, ``level,number,microseconds,flags;text``, says that `pid` was killed."""
    head, _, text = record.partition(b";")
    found = _KILLED.search(text)
    fields = head.split(b",")
    if found is None or int(found.group(1)) != pid:
        return False
    return len(fields) < 3 or int(fields[2]) >= since * 1e6
