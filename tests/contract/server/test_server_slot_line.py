"""Waiting for slots: never more than there are, first come first served, and nothing is held by nobody."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from postgresql import Cluster
from wire import Api

from penstock import clock
from penstock.client import concurrency_limits as limits
from penstock.client.sync import SyncClient, get_sync_client
from penstock.model.concurrency_limits import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    SlotAnswer,
    SlotMode,
    SlotRequest,
    SlotWish,
)
from penstock.model.flow_runs import FlowRunCreate
from penstock.model.flows import FlowCreate
from penstock.model.reports import ReportBatch
from penstock.model.states import StateCreate, StateType
from penstock.server.api import slot_line
from penstock.server.database.connection import Database
from penstock.server.operations.apply_reports import apply_reports
from penstock.server.operations.create_flow import create_flow
from penstock.server.operations.create_flow_run import create_flow_run
from penstock.server.operations.create_global_concurrency_limit import create_global_concurrency_limit
from penstock.server.operations.grant_slots import Terms, grant_slots
from penstock.server.operations.release_slots import release_slots, renew_slots
from penstock.testing import Fault, FaultProxy, TestServer, server, wait_until

#: Seconds: nobody who is there outlives the long one, and the short one is waited for.
LONG_LEASE, SHORT_LEASE = 600.0, 0.5
DIALECTS = ("sqlite", "postgresql")


def served(request: pytest.FixtureRequest, lease: float) -> Iterator[TestServer]:
    cluster: Cluster | None = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    url = cluster.create_database() if cluster is not None else None
    with server(database_url=url, env={"PENSTOCK_CONCURRENCY_LEASE_SECONDS": str(lease)}) as started:
        yield started


@pytest.fixture(scope="module", params=DIALECTS)
def running(request: pytest.FixtureRequest) -> Iterator[TestServer]:
    yield from served(request, LONG_LEASE)


@pytest.fixture(scope="module", params=DIALECTS)
def hasty(request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """A server whose leases are short."""
    yield from served(request, SHORT_LEASE)


@pytest.fixture
def client(running: TestServer) -> Iterator[SyncClient]:
    with running.client() as opened:
        yield opened


def a_limit(client: SyncClient, limit: int = 1, **fields: Any) -> str:
    name = f"limit-{uuid4()}"
    client.send(limits.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=limit, **fields)))
    return name


def ask(client: SyncClient, holder: UUID, *names: str, wait: float = 0.0, **fields: Any) -> SlotAnswer:
    wish = SlotWish(holder_id=holder, names=list(names), **fields)
    return client.send(limits.acquire_slots(SlotRequest(wishes=[wish], wait_seconds=wait)))


def has(client: SyncClient, holder: UUID, *names: str, wait: float = 0.0, **fields: Any) -> bool:
    return holder in ask(client, holder, *names, wait=wait, **fields).granted


def release(client: SyncClient, *holders: UUID) -> None:
    client.send(limits.release_slots(holders))


def taken(client: SyncClient, name: str) -> int:
    return client.send(limits.read_global_concurrency_limit_by_name(name)).active_slots


class Witness:
    """Counts who is inside at once."""

    def __init__(self) -> None:
        self.inside = self.most = self.visits = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.inside += 1
            self.visits += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.inside -= 1


def in_threads(number: int, work: Callable[[int], None]) -> None:
    """Run `work(0)` … side by side, and raise what one of them raised."""
    errors: list[BaseException] = []

    def guarded(index: int) -> None:
        try:
            work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "somebody never got a slot"
    if errors:
        raise errors[0]


def visit(client: SyncClient, witness: Witness, *names: str, slots: int = 1, seconds: float = 0.005) -> None:
    """Wait for slots as long as it takes, be inside for a while, give them back."""
    holder = uuid4()
    while not has(client, holder, *names, wait=20, slots=slots):
        pass
    with witness:
        threading.Event().wait(seconds)
    release(client, holder)


def test_fifty_holders_at_once_never_hold_more_than_there_is(client: SyncClient) -> None:
    name, witness = a_limit(client, 3), Witness()
    in_threads(50, lambda _: visit(client, witness, name))
    assert witness.visits == 50
    assert 1 <= witness.most <= 3
    assert taken(client, name) == 0


def test_holders_of_several_limits_in_any_order_never_wait_for_each_other(client: SyncClient) -> None:
    one, two, witness = a_limit(client), a_limit(client), Witness()

    def work(index: int) -> None:
        names = (one, two) if index % 2 else (two, one)
        for _ in range(3):
            visit(client, witness, *names, seconds=0)

    in_threads(10, work)
    assert (witness.visits, witness.most) == (30, 1)


def test_whoever_wants_many_slots_is_not_starved_by_those_who_want_one(client: SyncClient) -> None:
    name, done = a_limit(client, 3), threading.Event()
    large, small = Witness(), Witness()

    def work(index: int) -> None:
        if index == 0:
            visit(client, large, name, slots=3)
            done.set()
        while index and not done.is_set():
            visit(client, small, name, seconds=0.02)

    in_threads(5, work)
    assert large.visits == 1


def test_no_lost_answer_loses_or_doubles_a_slot(running: TestServer, client: SyncClient) -> None:
    name, witness = a_limit(client, 2), Witness()
    with FaultProxy(running.api_url, seed=3) as proxy:
        proxy.add(Fault("drop_answer", method="POST", path=".*/concurrency_slots", probability=0.2))
        proxy.add(Fault("cut", method="POST", path=".*/concurrency_slots", probability=0.1))
        with get_sync_client(proxy.url, max_retries=50) as shaky:
            in_threads(20, lambda _: visit(shaky, witness, name))
        assert sum(proxy.injected.values()) > 0
    assert witness.visits == 20
    assert witness.most <= 2
    wait_until(lambda: taken(client, name) == 0)


class Line:
    """The line of a server in this process, and a limit of one slot."""

    def __init__(self, database: Database) -> None:
        self._database, self._line = database, slot_line.SlotLine(database)
        self.name = f"limit-{uuid4()}"

    async def __aenter__(self) -> "Line":
        self._database.hub.attach(asyncio.get_running_loop())
        asked = GlobalConcurrencyLimitCreate(name=self.name, limit=1)
        await self._database.write(create_global_concurrency_limit, asked)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._database.hub.close()

    async def has(self, holder: UUID, wait: float = 0.0) -> bool:
        wish = SlotWish(holder_id=holder, names=[self.name])
        answer = await self._line.ask(SlotRequest(wishes=[wish], wait_seconds=wait), self._is_gone)
        return holder in answer.granted

    async def _is_gone(self) -> bool:
        return False

    async def release(self, holder: UUID) -> None:
        self._line.forget([holder])
        await self._database.write(release_slots, [holder])


def test_who_came_first_is_served_first(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_line, "GRACE", 600.0)

    async def story() -> None:
        holder, first, second = uuid4(), uuid4(), uuid4()
        async with Line(database) as line:
            assert await line.has(holder)
            assert not await line.has(first)
            assert not await line.has(second)
            await line.release(holder)
            assert not await line.has(second), "the place of the first one is kept for a moment"
            assert await line.has(first)
            await line.release(first)
            assert await line.has(second)

    asyncio.run(story())


def test_somebody_who_left_the_line_holds_nobody_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        holder, gone, second, third = uuid4(), uuid4(), uuid4(), uuid4()
        async with Line(database) as line:
            monkeypatch.setattr(slot_line, "GRACE", 600.0)
            for waiting in (holder, gone, second):
                await line.has(waiting)
            await line.release(gone)  # says so
            await line.release(holder)
            assert await line.has(second)
            await line.has(uuid4())  # just never comes back
            monkeypatch.setattr(slot_line, "GRACE", 0.1)
            await line.release(second)
            while not await line.has(third, wait=20):
                pass

    asyncio.run(story())


def test_who_waits_is_answered_as_soon_as_a_slot_is_free(client: SyncClient) -> None:
    name, holder = a_limit(client), uuid4()
    assert has(client, holder, name)
    threading.Timer(0.2, release, (client, holder)).start()
    assert has(client, uuid4(), name, wait=20)


@pytest.mark.parametrize("change", ["raise", "disable", "delete", "reset"])
def test_a_change_of_the_limit_lets_those_go_on_who_wait_for_it(client: SyncClient, change: str) -> None:
    name, calls = a_limit(client, 0 if change == "raise" else 1), {}
    if change != "raise":
        assert has(client, uuid4(), name)
    calls["raise"] = limits.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(limit=1))
    calls["disable"] = limits.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(active=False))
    calls["reset"] = limits.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(active_slots=0))
    calls["delete"] = limits.delete_global_concurrency_limit_by_name(name)
    waiting = uuid4()
    assert not has(client, waiting, name)
    threading.Timer(0.1, client.send, (calls[change],)).start()
    assert has(client, waiting, name, wait=20)


def test_a_limit_that_is_lowered_takes_nothing_away_and_grants_nothing_until_there_is_room(client: SyncClient) -> None:
    name, (first, second, third) = a_limit(client, 2), (uuid4(), uuid4(), uuid4())
    assert has(client, first, name)
    assert has(client, second, name)
    client.send(limits.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(limit=1)))
    assert taken(client, name) == 2
    release(client, first)
    assert not has(client, third, name)
    release(client, second)
    assert has(client, third, name)


class Desk:
    """A database at a time that `forward` moves on, with limits of one slot and holders that have leases of a minute."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self._database, self._now = database, clock.now()
        monkeypatch.setattr(clock, "now", lambda: self._now)

    def write(self, operation: Callable[..., Any], *args: Any) -> Any:
        return self._database.submit_write(operation, *args).result(60)

    def forward(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def limit(self) -> str:
        name = f"limit-{uuid4()}"
        self.write(create_global_concurrency_limit, GlobalConcurrencyLimitCreate(name=name, limit=1))
        return name

    def has(self, holder: UUID, name: str, **fields: Any) -> bool:
        wish = SlotWish(holder_id=holder, names=[name], **fields)
        granted: list[UUID] = self.write(grant_slots, [(wish, True)], Terms(lease=60, judge_leases=True)).granted
        return holder in granted


@pytest.fixture
def desk(database: Database, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(database, monkeypatch)


def test_a_lease_that_nobody_renews_runs_out_and_one_that_is_renewed_does_not(desk: Desk) -> None:
    dead, alive, kept = desk.limit(), desk.limit(), uuid4()
    assert desk.has(uuid4(), dead)
    assert desk.has(kept, alive)
    for _ in range(3):
        desk.forward(19)
        desk.write(renew_slots, [kept], 60)
        assert not desk.has(uuid4(), dead)
    desk.forward(4)
    assert desk.has(uuid4(), dead)
    desk.forward(55)
    assert not desk.has(uuid4(), alive)
    desk.forward(2)
    assert desk.has(uuid4(), alive)


def test_who_waits_gets_the_slot_of_a_lease_that_has_run_out(hasty: TestServer) -> None:
    with hasty.client() as client:
        name, waiting, began = a_limit(client), uuid4(), time.monotonic()
        assert has(client, uuid4(), name)
        while not has(client, waiting, name, wait=20):
            pass
        assert time.monotonic() - began >= SHORT_LEASE


def test_a_renewal_tells_who_holds_nothing_any_more(client: SyncClient) -> None:
    name, holder, stranger = a_limit(client), uuid4(), uuid4()
    ask(client, holder, name)
    assert client.send(limits.renew_slots([holder, stranger])).lost == [stranger]


def test_a_slot_that_is_bound_to_a_run_needs_no_renewal(hasty: TestServer) -> None:
    with hasty.client() as client, Api(hasty.api_url) as api:
        name, run_id = a_limit(client), UUID(api.run("RUNNING")["id"])
        assert has(client, uuid4(), name, flow_run_id=run_id, leased=False)
        holder = client.send(
            limits.read_slot_holders(client.send(limits.read_global_concurrency_limit_by_name(name)).id)
        )
        assert [(held.flow_run_id, held.expires_at) for held in holder] == [(run_id, None)]
        waiting = uuid4()
        assert not has(client, waiting, name, wait=SHORT_LEASE * 3)
        api.propose(str(run_id), "COMPLETED")
        while not has(client, waiting, name, wait=20):
            pass


def test_the_reports_of_a_run_renew_the_leases_of_its_slots(desk: Desk) -> None:
    name, stream = desk.limit(), uuid4()
    flow_id = desk.write(create_flow, FlowCreate(name="flow"))[0].id
    asked = FlowRunCreate(flow_id=flow_id, state=StateCreate(type=StateType.RUNNING))
    run_id = desk.write(create_flow_run, asked)[0].id
    assert desk.has(uuid4(), name, flow_run_id=run_id, leased=True)
    for sequence in range(1, 5):
        desk.forward(30)
        desk.write(apply_reports, ReportBatch(stream=stream, sequence=sequence, flow_run_id=run_id))
    desk.forward(59)
    assert not desk.has(uuid4(), name)
    desk.forward(2)
    assert desk.has(uuid4(), name)


def test_slots_for_a_rate_come_free_as_they_decay(client: SyncClient) -> None:
    name, witness = a_limit(client, 2, slot_decay_per_second=10.0), Witness()
    started = time.monotonic()

    def work(_: int) -> None:
        holder = uuid4()
        while not has(client, holder, name, wait=20, mode=SlotMode.RATE_LIMIT):
            pass
        with witness:
            pass

    in_threads(8, work)
    assert witness.visits == 8
    assert time.monotonic() - started >= 0.5  # 8 at 10 a second, 2 of them at once


def test_a_rate_that_was_granted_and_asked_for_again_is_not_granted_twice(client: SyncClient) -> None:
    name, holder = a_limit(client, 1, slot_decay_per_second=0.001), uuid4()
    assert has(client, holder, name, mode=SlotMode.RATE_LIMIT)
    assert has(client, holder, name, mode=SlotMode.RATE_LIMIT)
    assert taken(client, name) == 1


def test_a_wish_that_no_waiting_can_fulfil_is_denied_at_once(client: SyncClient) -> None:
    holder = uuid4()
    (denial,) = ask(client, holder, a_limit(client, 2), wait=20, slots=3).denied
    assert "there are only 2" in denial.message
    (denial,) = ask(client, holder, a_limit(client, 2), wait=20, mode=SlotMode.RATE_LIMIT).denied
    assert "decay" in denial.message


def test_names_without_a_limit_are_told(client: SyncClient) -> None:
    answer = ask(client, uuid4(), "no-such-limit", a_limit(client))
    assert answer.unknown_names == ["no-such-limit"]
    assert len(answer.granted) == 1


def test_one_request_waits_for_many_and_tells_of_each_when_it_is_decided(client: SyncClient) -> None:
    name, wishes = a_limit(client, 2), [uuid4() for _ in range(5)]

    def wait(holders: list[UUID]) -> list[UUID]:
        asked = [SlotWish(holder_id=holder, names=[name]) for holder in holders]
        return client.send(limits.acquire_slots(SlotRequest(wishes=asked, wait_seconds=20))).granted

    served: list[UUID] = []
    while len(served) < 5:
        granted = wait([holder for holder in wishes if holder not in served])
        assert 1 <= len(granted) <= 2
        served += granted
        release(client, *granted)
    assert served == wishes
