"""Reads what a job wrote, piece by piece, in whole lines."""

from pathlib import Path

from penstock.errors import JobNotFound
from penstock.infrastructure.base import Output

#: Most bytes that one call returns.
MOST = 256 * 1024


def read(path: Path, since: int, ended: bool, most: int = MOST) -> Output:
    """The lines after offset `since`, in bytes. A last line without an end is held back until the job has `ended`.

    A line longer than `most` comes in pieces. What is no UTF-8 is shown as replacement characters. Raises JobNotFound
    if there is no such file.
    """
    try:
        with open(path, "rb") as file:
            file.seek(since)
            data = file.read(most)
            more = len(data) == most
    except FileNotFoundError:
        raise JobNotFound(f"The output {path} does not exist: the job was removed.") from None
    if more or not ended:
        data = _whole(data, cut=more)
    return Output(text=data.decode(errors="replace"), offset=since + len(data))


def _whole(data: bytes, cut: bool) -> bytes:
    """`data` up to its last end of line; if it has none and was `cut` off, up to its last whole character."""
    end = data.rfind(b"\n") + 1
    if end or not cut:
        return data[:end]
    for back in range(1, min(4, len(data))):
        if data[-back] >= 0xC0:  # the first byte of a character of several bytes, which may not all be there
            return data[:-back]
        if data[-back] < 0x80:
            break
    return data
