"""Slots that no run holds by itself: leased, and renewed from one thread as long as this process lives."""

import logging
import threading
from typing import Protocol, TypeVar
from uuid import UUID

from penstock.client import concurrency_limits
from penstock.client.call import Call
from penstock.client.transport import Ticket
from penstock.clock import monotonic
from penstock.errors import APIError

T = TypeVar("T")

_log = logging.getLogger("penstock.concurrency")

#: Seconds between two tries of a renewal that failed.
AFTER_FAILURE = 2.0


class Client(Protocol):
    """What is needed of `penstock.client.sync.SyncClient`."""

    def send(self, call: Call[T], *, deadline: float | None = None, ticket: Ticket | None = None) -> T: ...


class Leases:
    """Renews what `keep` is told of, each time that a third of the lease is used up, until `drop`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._changed = threading.Condition(threading.Lock())
        self._held: dict[UUID, str] = {}
        self._lease = 60.0
        self._thread: threading.Thread | None = None

    def keep(self, holder_id: UUID, title: str, lease_seconds: float) -> None:
        """`title` is how people know the slots."""
        with self._changed:
            self._held[holder_id] = title
            self._lease = lease_seconds
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="penstock-slot-leases", daemon=True)
                self._thread.start()

    def drop(self, holder_id: UUID) -> None:
        with self._changed:
            self._held.pop(holder_id, None)
            self._changed.notify_all()

    def _run(self) -> None:
        renewed = monotonic()
        while True:
            with self._changed:
                while self._held and (left := renewed + self._lease / 3 - monotonic()) > 0:
                    self._changed.wait(left)
                if not self._held:
                    self._thread = None
                    return
                held = dict(self._held)
            if self._renew(held):
                renewed = monotonic()
            else:
                with self._changed:
                    self._changed.wait(AFTER_FAILURE)

    def _renew(self, held: dict[UUID, str]) -> bool:
        try:
            answer = self._client.send(
                concurrency_limits.renew_slots(held), deadline=monotonic() + max(1.0, self._lease / 3)
            )
        except APIError as error:
            _log.warning("Slots of %s could not be renewed: %s", ", ".join(sorted(set(held.values()))), error)
            return False
        with self._changed:
            self._lease = answer.lease_seconds
            lost = [holder for holder in answer.lost if self._held.pop(holder, None) is not None]
        for holder in lost:
            _log.warning(
                "The slots of %s were given to others: they were not renewed within %g s. The code that they guard goes on",
                held[holder],
                answer.lease_seconds,
            )
        return True
