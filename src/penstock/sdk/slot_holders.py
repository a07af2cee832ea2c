"""One request for slots of named limits: where it is made, and what holds them afterwards."""

import atexit
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from penstock import settings
from penstock.client import concurrency_limits
from penstock.client.sync import get_sync_client
from penstock.engine.context import FLOW_RUN, FlowRunContext
from penstock.engine.interruption import CancelRequested
from penstock.engine.slot_desk import Desk, SlotsDenied, SlotsTimeout, acquire
from penstock.engine.slot_leases import Client
from penstock.engine.slots import slots_of
from penstock.engine.steps import Blocking, Steps
from penstock.errors import APIError, PenstockError, did_you_mean
from penstock.model.concurrency_limits import SlotAnswer, SlotMode

_log = logging.getLogger("penstock.concurrency")
_making = threading.Lock()
#: by process and API
_outside: dict[tuple[int, str | None], Desk] = {}
#: names that were warned of: once is enough
_warned: set[str] = set()


@dataclass
class Holding:
    """Slots that are held. `release` gives them back."""

    desk: Desk
    holder_id: UUID

    def release(self) -> None:
        self.desk.give_back(self.holder_id)


@dataclass
class Request:
    """`occupy` slots of each of `names`. `denied` and `timed_out`: the errors to raise."""

    names: list[str]
    occupy: int
    timeout: float | None
    rate: bool
    denied: type[PenstockError]
    timed_out: type[PenstockError]

    def acquire(self) -> Steps[Holding]:
        """Wait for the slots, in the name of the run around the calling code if there is one."""
        run = FLOW_RUN.get()
        desk = slots_of(run.session).desk if run is not None else _outside_of_runs()
        mode = SlotMode.RATE_LIMIT if self.rate else SlotMode.CONCURRENCY
        wish = desk.wish(uuid4(), names=self.names, slots=self.occupy, mode=mode)
        try:
            answer = yield from acquire(desk, wish, timeout=self.timeout, check=_check(run))
        except SlotsDenied as error:
            raise self.denied(error.message, hint="See: penstock global-concurrency-limit ls") from None
        except SlotsTimeout as error:
            named = ", ".join(repr(name) for name in self.names)
            raise self.timed_out(f"No slots of {named}: {error.message}") from None
        if not self.rate:
            desk.hold(wish, answer)
        yield from _warn_of_unknown(desk.client, answer)
        return Holding(desk, wish.holder_id)


def _outside_of_runs() -> Desk:
    key = (os.getpid(), settings.get("PENSTOCK_API_URL"))
    with _making:
        found = _outside.get(key)
        if found is None:
            client = get_sync_client()
            atexit.register(client.close)
            found = _outside[key] = Desk(client, client.send, renews=True)
        return found


def _check(run: FlowRunContext | None) -> Callable[[], None] | None:
    if run is None:
        return None

    def check() -> None:
        run.session.check()
        if run.stopping is not None:
            raise CancelRequested(run.stopping)

    return check


def _warn_of_unknown(client: Client, answer: SlotAnswer) -> Steps[None]:
    """Say, once, that a name has no limit: as in Prefect 2 the code runs, but most likely nobody wants that."""
    new = [name for name in answer.unknown_names if name not in _warned]
    if not new:
        return
    _warned.update(new)
    known = yield Blocking(lambda: _names(client))
    for name in new:
        _log.warning(
            "There is no concurrency limit %r, so nothing is limited.%s Create it: "
            "penstock global-concurrency-limit create %s --limit N",
            name,
            did_you_mean(name, known),
            name,
        )


def _names(client: Client) -> list[str]:
    try:
        return [limit.name for limit in client.send(concurrency_limits.read_global_concurrency_limits(200))]
    except APIError:
        return []
