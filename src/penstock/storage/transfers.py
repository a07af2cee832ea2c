"""Many files from one place to another: several at once, tried again where the network was at fault, told in the log."""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from penstock.client.retries import wait_before
from penstock.clock import monotonic
from penstock.storage.store_errors import is_networks_fault

T = TypeVar("T")

#: How often something is tried at most where the network was at fault, and the longest wait in seconds in between.
MAX_TRIES = 4
LONGEST_WAIT = 5.0
#: Seconds between two lines of the log while files travel.
TELL_SECONDS = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transfer:
    """One file on its way. A `target` that is a path of this machine is made with the folders above it."""

    source: str
    target: Path | str
    size: int = 0


class _Board:
    """What is still to do, and what came of the rest. Workers take from it; whoever waits, waits here."""

    def __init__(self, transfers: Sequence[Transfer]) -> None:
        self.changed = threading.Condition()
        self.to_come: deque[Transfer] = deque(transfers)
        self.under_way: set[Transfer] = set()
        self.files = 0
        self.bytes = 0
        self.error: BaseException | None = None
        self.stopped = False

    def take(self) -> Transfer | None:
        with self.changed:
            if self.stopped or self.error is not None or not self.to_come:
                return None
            transfer = self.to_come.popleft()
            self.under_way.add(transfer)
            return transfer

    def put_back(self, transfer: Transfer, error: BaseException | None) -> None:
        with self.changed:
            self.under_way.discard(transfer)
            if error is None:
                self.files += 1
                self.bytes += transfer.size
            elif self.error is None:
                self.error = error
            self.changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Whether it is over, after at most so many seconds."""
        with self.changed:
            return self.changed.wait_for(self.is_over, seconds)

    def is_over(self) -> bool:
        return not self.under_way and (self.error is not None or not self.to_come)

    def bytes_there(self) -> int:
        """Bytes that have arrived, those of files under way included where they are written on this machine."""
        here = 0
        for transfer in list(self.under_way):
            if isinstance(transfer.target, Path):
                with suppress(OSError):
                    here += transfer.target.stat().st_size
        return self.bytes + here


def carry_out(
    transfers: Sequence[Transfer], copy: Callable[[Transfer], None], *, at_once: int, told: str | None
) -> None:
    """Call `copy` for each of `transfers`, for up to `at_once` of them at a time. Raises the first error there is.

    `told`: what the log calls it, e.g. "fetched from s3://bucket"; None: the log is not told. An exception that reaches the
    caller's thread meanwhile, as on SIGTERM, is not kept waiting for files under way.
    """
    for folder in {transfer.target.parent for transfer in transfers if isinstance(transfer.target, Path)}:
        folder.mkdir(parents=True, exist_ok=True)
    board, since = _Board(transfers), monotonic()
    total = sum(transfer.size for transfer in transfers)
    workers = [
        threading.Thread(target=_work, args=(board, copy), name=f"penstock-transfer-{number}", daemon=True)
        for number in range(min(at_once, len(transfers)))
    ]
    try:
        for worker in workers:
            worker.start()
        while not board.wait(TELL_SECONDS):
            _tell_progress(board, len(transfers), total, monotonic() - since, told)
    finally:
        board.stopped = True
    if board.error is not None:
        raise board.error
    if told is not None:
        logger.info("%d files, %s %s in %.1f s", len(transfers), size_text(total), told, monotonic() - since)


def _work(board: _Board, copy: Callable[[Transfer], None]) -> None:
    while (transfer := board.take()) is not None:
        error: BaseException | None = None
        try:
            copy(transfer)
        except BaseException as caught:
            error = caught
        board.put_back(transfer, error)


def _tell_progress(board: _Board, files: int, total: int, seconds: float, told: str | None) -> None:
    if told is not None:
        there = board.bytes_there()
        logger.info(
            "%d of %d files, %s of %s %s after %.0f s",
            board.files,
            files,
            size_text(there),
            size_text(total),
            told,
            seconds,
        )


def patiently(action: Callable[[], T], tries: int = MAX_TRIES) -> T:
    """What `action` returns; it is called up to `tries` times where the network was at fault. Raises its last error."""
    for number in range(1, tries + 1):
        try:
            return action()
        except Exception as error:
            if number == tries or not is_networks_fault(error):
                raise
            logger.debug("Try %d of %d failed: %s: %s", number, tries, type(error).__name__, error)
        time.sleep(wait_before(number, None, LONGEST_WAIT, random.random()))
    raise AssertionError("there is at least one try")


def size_text(count: int) -> str:
    """A number of bytes for people, e.g. 12.3 MB (of a million bytes)."""
    if count < 1000:
        return f"{count} bytes"
    number = float(count)
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.95:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"
