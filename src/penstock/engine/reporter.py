"""Sends task runs, their states and log lines home in numbered batches, from a thread of its own.

Callers only append; nothing here waits for the network on their behalf, except `flush`, and what is reported while
memory and spool are full: rather than lose a report, callers wait until there is room. One batch is on its way at a
time. When the API is away, batches wait in the outbox and leave in order when it is back.
"""

import json
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

from penstock.clock import monotonic
from penstock.engine import outbox, wire
from penstock.engine.batches import LARGEST_BATCH, LINES_COUNT, batches
from penstock.errors import APIError, NotAuthorized, NotFound, Unreachable

#: Seconds that the first line of a batch waits for more of them.
LINGER = 0.02
#: Seconds without any report after which an empty batch says that the run is alive.
HEARTBEAT = 10.0
#: So many waiting reports, and so many bytes of lines (just about one batch), are sealed even while an older batch is
#: on its way.
SEAL_AT = 4_000
SEAL_LINES_AT = 0.95 * LARGEST_BATCH / LINES_COUNT
#: Seconds between two looks at whether there is room again, and whether waiting for it still makes sense.
LOOK_AGAIN = 0.5
#: Seconds of an outage after which whoever looks on is told.
NOTICE = 5.0
#: Longest wait in seconds between two tries while the API is away.
LONGEST_WAIT = 5.0

#: Not the generator that user code may have seeded.
_chance = random.Random().random

#: Codes of 409 that say that this attempt is over.
FENCED = frozenset({"attempt_superseded", "attempt_taken"})


class Receipt(Protocol):
    """What the server answers to a batch. See `penstock.model.reports.ReportReceipt`."""

    sequence: int
    cancel: bool


class Reporter:
    """Reports of one process on the flow run `flow_run_id` and what runs inside of it.

    `send` sends one batch, given as JSON, and raises what the client raises. `on_cancel` is called, once, when the
    server says that somebody wants the run to stop; `on_over` when it says that this process has no say any more,
    with its words. `patience` is how many seconds an outage may last before the reports are given up.

    At most `spool_limit` bytes of reports lie on disk; callers then wait, unless `in_a_hurry()`.
    """

    def __init__(
        self,
        flow_run_id: UUID,
        send: Callable[[bytes], Receipt],
        folder: Path,
        *,
        on_cancel: Callable[[], None],
        on_over: Callable[[str], None],
        patience: float,
        spool_limit: float = float("inf"),
        in_a_hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        self.flow_run_id = flow_run_id
        #: the same, as lines name it
        self.id_text = str(flow_run_id)
        self.stream = uuid4()
        self.over = False
        self.last_error: Exception | None = None
        self._send = send
        self._on_cancel = on_cancel
        self._on_over = on_over
        self._patience = patience
        self._in_a_hurry = in_a_hurry
        self._outbox = outbox.Outbox(folder / str(self.stream), outbox.IN_MEMORY, spool_limit)
        self._sequence = 0
        self._task_runs: dict[str, wire.JSON] = {}
        self._lines: list[bytes] = []
        self._line_bytes = 0
        self._taken = 0  # how many reports were ever taken
        self._sealed = 0  # how many of them are in a batch
        self._arrived = 0  # how many of them the server has
        self._marks: list[tuple[int, int]] = []  # (batch number, how many reports are in it and those before)
        self._batches = 0
        self._delivered = 0
        self._wanted = 0
        self._stopping = False
        self._cancel_told = False
        self._outage_told = False
        self._full_told = False
        # Reentrant: a signal handler of the program may log while its thread is in here.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name="penstock-reporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def task_run(self, task_run_id: str, part: wire.JSON) -> None:
        """Report a further part of a task run's story: keys of `penstock.model.reports.TaskRunReport`."""
        with self._lock:
            if self.over:
                return
            known = self._task_runs.get(task_run_id)
            if known is None:
                self._task_runs[task_run_id] = part
            else:
                wire.merge(known, part)
            self._noted()

    def log(self, line: bytes) -> None:
        """Report a log line, as `wire.log_line` has made it."""
        with self._lock:
            if self.over:
                return
            self._lines.append(line)
            self._line_bytes += len(line)
            self._taken += 1
            if self._line_bytes >= SEAL_LINES_AT:
                self._seal_early()
            elif self._taken - self._sealed == 1:
                self._changed.notify_all()

    def hurry(self) -> None:
        """Have everything reported so far sent now. Does not wait for it."""
        with self._changed:
            self._wanted = max(self._wanted, self._taken)
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything reported so far has arrived. False if that took over `timeout`, or was given up."""
        deadline = None if timeout is None else monotonic() + timeout
        with self._changed:
            target = self._taken
            self._wanted = max(self._wanted, target)
            self._changed.notify_all()
            while self._arrived < target and not self.over:
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
            return self._arrived >= target

    def close(self, timeout: float = 5.0) -> None:
        """Send what is left, for at most `timeout` seconds; what has not arrived by then is left on disk and named."""
        self.flush(timeout)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(min(timeout, 1.0))
        with self._changed:
            self._seal()
            left = None if self.over else self._keep()
            self.over = True
        if left is not None:
            print(f"penstock: reports that did not reach the server {left}", file=sys.stderr)

    def forked(self) -> None:
        """This is a fork of the process that the reports belong to: keep out of them.

        The thread and its lock stayed there.
        """
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self.over = True
        self._outbox = outbox.Outbox(self._outbox.folder)

    def _noted(self) -> None:
        self._taken += 1
        waiting = self._taken - self._sealed
        if waiting == 1:
            self._changed.notify_all()
        elif waiting >= SEAL_AT:
            self._seal_early()

    def _seal_early(self) -> None:
        """So much waits that it becomes batches now, in the thread that reports. The lock is held.

        If the outbox is full, that thread waits for room: for as long as the API may be away.
        """
        self._seal()
        self._changed.notify_all()
        while self._outbox.full and self._thread.is_alive() and not (self.over or self._stopping):
            if threading.current_thread() is self._thread or self._in_a_hurry():
                return
            self._tell_full()
            self._changed.wait(LOOK_AGAIN)

    def _tell_full(self) -> None:
        if self._full_told:
            return
        self._full_told = True
        trouble = self._outbox.trouble
        where = f"The spool {self._outbox.folder}"
        cause = f"{where} cannot be written: {trouble}" if trouble else f"{where} has grown to its limit"
        print(
            f"penstock: {cause}. What reports or logs waits until the API has taken some of it, for up to "
            f"{self._patience:g} s. PENSTOCK_LOGGING_SPOOL_LIMIT_MB sets the limit.",
            file=sys.stderr,
        )

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._await_work():
                with self._changed:
                    if not len(self._outbox):
                        self._seal(even_empty=True)
                    body = self._head()
                if body is not None and not self._deliver(body):
                    return
        finally:
            with self._changed:
                if not self._stopping:
                    self.over = True  # nobody is to wait for a thread that is no more
                self._changed.notify_all()

    def _head(self) -> bytes | None:
        """The oldest batch. One that cannot be read from the spool any more is told and left out. The lock is held."""
        while True:
            try:
                return self._outbox.head()
            except OSError as error:
                print(f"penstock: reports in the spool are lost: {error}", file=sys.stderr)
                self._passed()

    def _await_work(self) -> bool:
        """Wait until a batch is due. False: stop."""
        with self._changed:
            quiet_until = monotonic() + HEARTBEAT
            while not len(self._outbox):
                if self._stopping or self.over:
                    return False
                if self._wanted > self._sealed:
                    break
                left = quiet_until - monotonic()
                if left <= 0:
                    break
                if self._taken > self._sealed:
                    self._linger()
                    break
                self._changed.wait(left)
            return not (self.over or self._stopping)

    def _linger(self) -> None:
        until = monotonic() + LINGER
        while (left := until - monotonic()) > 0:
            if self._wanted > self._sealed or self._stopping:
                return
            self._changed.wait(left)

    def _seal(self, *, even_empty: bool = False) -> None:
        """Turn what waits into batches. The lock is held."""
        task_runs, lines = self._task_runs, self._lines
        if not (task_runs or lines or even_empty):
            return
        self._task_runs, self._lines, self._line_bytes = {}, [], 0
        self._sealed = self._taken
        for batch in batches(task_runs, lines):
            self._outbox.append(batch)
            self._batches += 1
        self._marks.append((self._batches, self._sealed))

    def _deliver(self, body: bytes) -> bool:
        """Send one batch until it is done with. False: there is no point in going on."""
        away_since: float | None = None
        tries = 0
        while not self.over:
            try:
                self._delivered_one(self._send(self._headed(body)))
                return True
            except APIError as error:
                self.last_error = error
                if not _is_passing(error):
                    if self._refused(error):
                        return not self.over
                    continue
                away_since = away_since or monotonic()
                tries += 1
                self._tell_outage(monotonic() - away_since, error)
                if monotonic() - away_since > self._patience:
                    self._give_up(error)
            if not self._pause(_chance() * min(LONGEST_WAIT, 0.2 * 2.0 ** min(tries, 10))):
                return False
        return False

    def _tell_outage(self, seconds: float, error: Exception) -> None:
        if seconds < NOTICE or self._outage_told:
            return
        self._outage_told = True
        print(
            f"penstock: the API has been away for {seconds:.0f} s. The run goes on, and its reports are kept until the "
            f"API is back, for up to {self._patience:g} s: {error}",
            file=sys.stderr,
        )

    def _headed(self, body: bytes) -> bytes:
        head: dict[str, Any] = {
            "stream": str(self.stream),
            "sequence": self._sequence + 1,
            "flow_run_id": str(self.flow_run_id),
        }
        return json.dumps(head)[:-1].encode() + b"," + body + b"}"

    def _delivered_one(self, receipt: Receipt) -> None:
        with self._changed:
            self._sequence += 1
            self._outage_told = False
            self._passed()
        if receipt.cancel and not self._cancel_told:
            self._cancel_told = True
            self._on_cancel()

    def _passed(self) -> None:
        """The batch at the head is done with. The lock is held."""
        self._outbox.pop()
        self._delivered += 1
        while self._marks and self._marks[0][0] <= self._delivered:
            self._arrived = max(self._arrived, self._marks.pop(0)[1])
        self._changed.notify_all()

    def _refused(self, error: APIError) -> bool:
        """The server does not take the batch. True: it is done with; False: ask again."""
        if error.code in FENCED or isinstance(error, NotFound):
            with self._changed:
                self.over = True
                self._changed.notify_all()
            self._on_over(error.message)
            return True
        if error.code == "report_gap":
            # The server has lost earlier batches of this stream: all that can still be told is told in a new one.
            self.stream, self._sequence = uuid4(), 0
            return False
        print(f"penstock: the server did not take a report: {error}", file=sys.stderr)
        with self._changed:
            self._passed()
        return True

    def _give_up(self, error: Exception) -> None:
        with self._changed:
            self.last_error = error
            left = self._keep()
            self.over = True
            self._changed.notify_all()
        print(f"penstock: no API for {self._patience:g} s; reports {left or 'are complete'}: {error}", file=sys.stderr)

    def _keep(self) -> str | None:
        """Leave on disk what has not arrived; says where. None if there is nothing. The lock is held."""
        try:
            folder = self._outbox.keep()
        except OSError as error:
            return f"could not be kept and are lost ({error})"
        return None if folder is None else f"were left in {folder}"

    def _pause(self, seconds: float) -> bool:
        until = monotonic() + seconds
        with self._changed:
            while not self._stopping and (left := until - monotonic()) > 0:
                self._changed.wait(left)
            return not self._stopping


def _is_passing(error: APIError) -> bool:
    """Whether the error says nothing about the batch: no answer, one that is not the server's, or a wrong key."""
    return isinstance(error, Unreachable | NotAuthorized) or error.code == "answer"
