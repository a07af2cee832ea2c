"""One request for slots of named limits: where it is made, and what holds them afterwards."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from penstock import settings
from penstock.client import concurrency_limits
from penstock.client.sync import SyncClient, get_sync_client
from penstock.engine.context import FLOW_RUN, FlowRunContext
from penstock.engine.interruption import CancelRequested
from penstock.engine.slot_desk import Client, Desk, SlotsDenied, SlotsTimeout, acquire
from penstock.engine.slots import slots_of
from penstock.engine.steps import Blocking, Steps
from penstock.errors import APIError, PenstockError, did_you_mean
from penstock.model.concurrency_limits import SlotAnswer, SlotMode, SlotWish
from penstock.sdk.slot_leases import Leases

_log = logging.getLogger("penstock.concurrency")
_making = threading.Lock()
#: by process and API
_outside: dict[tuple[int, str | None], "Outside"] = {}
#: names that were warned of: once is enough
_warned: set[str] = set()


class Outside:
    """Where slots are asked for outside of any run."""

    def __init__(self, client: SyncClient) -> None:
        self.client = client
        self.desk = Desk(client, client.send)
        self.leases = Leases(client)


@dataclass
class Holding:
    """Slots that are held. `release` gives them back."""

    desk: Desk
    holder_id: UUID
    leases: Leases | None

    def release(self) -> None:
        if self.leases is not None:
            self.leases.drop(self.holder_id)
        self.desk.release(self.holder_id)


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
        wish = SlotWish(
            holder_id=uuid4(),
            names=self.names,
            slots=self.occupy,
            mode=SlotMode.RATE_LIMIT if self.rate else SlotMode.CONCURRENCY,
            flow_run_id=run.session.flow_run_id if run is not None else None,
            leased=run is None or not run.session.deployed,
        )
        desk = slots_of(run.session).desk if run is not None else _find_outside().desk
        try:
            answer = yield from acquire(desk, wish, timeout=self.timeout, check=_check(run))
        except SlotsDenied as error:
            raise self.denied(error.message, hint="See: penstock global-concurrency-limit ls") from None
        except SlotsTimeout as error:
            named = ", ".join(repr(name) for name in self.names)
            raise self.timed_out(f"No slots of {named}: {error.message}") from None
        leases = _find_outside().leases if run is None and not self.rate else None
        if leases is not None:
            leases.keep(wish.holder_id, ", ".join(self.names), answer.lease_seconds)
        yield from _warn_of_unknown(run.session.client if run is not None else _find_outside().client, answer)
        return Holding(desk, wish.holder_id, leases)


def _find_outside() -> Outside:
    key = (os.getpid(), settings.get("PENSTOCK_API_URL"))
    with _making:
        found = _outside.get(key)
        if found is None:
            found = _outside[key] = Outside(get_sync_client())
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
