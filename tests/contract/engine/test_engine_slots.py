"""Tasks whose tags are limited, and slots of named limits: in flows, in tasks, in threads, in coroutines, and outside."""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from time_is_up import time_is_up

from penstock import clock, flow, get_run_logger, tags, task
from penstock.client import concurrency_limits as limits
from penstock.client import flow_runs
from penstock.concurrency import asyncio as coroutines
from penstock.concurrency import sync as threads
from penstock.context import get_run_context
from penstock.engine import slots
from penstock.errors import ParameterError
from penstock.model.concurrency_limits import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from penstock.model.states import StateCreate, StateType
from penstock.task_runners import SequentialTaskRunner
from penstock.testing import wait_until


class Witness:
    """Counts who is inside at once."""

    def __init__(self):
        self.inside = self.most = self.visits = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.inside += 1
            self.visits += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_):
        with self._lock:
            self.inside -= 1


def a_tag(accounts, limit=1):
    tag = f"tag-{uuid4().hex[:8]}"
    accounts.client.send(limits.create_concurrency_limit(tag, limit))
    return tag


def a_limit(accounts, limit=1, **fields):
    name = f"limit-{uuid4().hex[:8]}"
    create = GlobalConcurrencyLimitCreate(name=name, limit=limit, **fields)
    accounts.client.send(limits.create_global_concurrency_limit(create))
    return name


def holders(accounts, tag):
    return accounts.client.send(limits.read_concurrency_limit_by_tag(tag)).active_slots


def taken(accounts, name):
    return accounts.client.send(limits.read_global_concurrency_limit_by_name(name)).active_slots


def moment():
    threading.Event().wait(0.005)


def test_submitted_tasks_with_a_limited_tag_never_run_beyond_the_limit(accounts):
    tag, witness = a_tag(accounts, 3), Witness()

    @task(tags=[tag])
    def visiting(_):
        with witness:
            moment()

    @flow
    def slots_submitted():
        visiting.map(range(50))

    slots_submitted()
    assert witness.visits == 50
    assert witness.most <= 3
    assert holders(accounts, tag) == []


def test_asynchronous_tasks_wait_without_holding_anybody_up(accounts):
    tag, witness, others, freed = a_tag(accounts, 2), Witness(), [], asyncio.Event()

    @task(tags=[tag])
    async def visiting(_):
        with witness:
            await freed.wait()
            await asyncio.sleep(0.005)

    @task
    async def free(n):
        others.append((n, witness.visits))

    @flow
    async def slots_async():
        futures = [await visiting.submit(n) for n in range(40)]
        for future in [await free.submit(n) for n in range(20)]:
            await future.wait()
        freed.set()
        for future in futures:
            await future.wait()

    asyncio.run(slots_async())
    assert (witness.visits, witness.most <= 2, len(others)) == (40, True, 20)
    assert max(visits for _, visits in others) <= 2


def test_tags_of_the_surroundings_are_limited_too(accounts):
    tag, seen = a_tag(accounts), []

    @task
    def plain():
        seen.append((get_run_context().task_run_id, holders(accounts, tag)))

    @flow
    def slots_of_surroundings():
        with tags(tag):
            plain()
        plain()

    slots_of_surroundings()
    assert [task_run_id in found for task_run_id, found in seen] == [True, False]


def test_tags_that_are_not_limited_cost_no_request_per_task(accounts, monkeypatch):
    monkeypatch.setattr(slots, "KNOWN_FOR", 3600.0)  # longer than a busy machine can take for the tasks
    seen = []

    @task(tags=["unlimited"])
    def tagged(n):
        seen.append(n)

    @flow(task_runner=SequentialTaskRunner())
    def slots_unlimited():
        from penstock.engine.context import FLOW_RUN

        tagged(0)
        session = FLOW_RUN.get().session
        send = session.client.send
        session.client.send = lambda *_args, **_kwargs: pytest.fail("asked the server")
        try:
            for n in range(1, 20):
                tagged(n)
        finally:
            session.client.send = send

    slots_unlimited()
    assert seen == list(range(20))


def test_a_waiting_task_run_says_so(accounts):
    tag = a_tag(accounts, 0)

    @task(tags=[tag])
    def waiting():
        return 1

    @flow
    def slots_visible():
        return waiting.submit()

    def allow():
        def states():
            return [
                run.state_name
                for run in accounts.client.read_task_runs(limit=200, sort="ID_DESC")
                if tag in run.tags and run.state_name == "AwaitingConcurrencySlot"
            ]

        wait_until(lambda: len(states()) == 1, timeout=60)
        accounts.client.send(limits.create_concurrency_limit(tag, 1))

    with ThreadPoolExecutor(1) as pool:
        allowing = pool.submit(allow)
        slots_visible()
        allowing.result()
    (found,) = accounts.task_runs(accounts.flow_run(slots_visible)).values()
    states = accounts.client.read_task_run_states(found.id)
    assert [state.name for state in states] == ["Pending", "AwaitingConcurrencySlot", "Running", "Completed"]
    assert states[1].message == f"Waits for a slot of the tag {tag!r}"


def test_a_slot_is_given_back_between_tries_and_taken_again_for_the_next(accounts):
    tag, witness, order = a_tag(accounts), Witness(), []

    @task(tags=[tag], retries=2, retry_delay_seconds=0.05)
    def flaky(name):
        with witness:
            order.append(name)
            moment()
        if order.count(name) < 3:
            raise ValueError("again")

    @flow
    def slots_retried():
        flaky.map(["a", "b", "c", "d"])

    slots_retried()
    assert sorted(order) == sorted(["a", "b", "c", "d"] * 3)
    assert witness.most == 1
    assert holders(accounts, tag) == []


def test_a_task_that_fails_gives_its_slot_back(accounts):
    tag = a_tag(accounts)

    @task(tags=[tag])
    def failing():
        raise ValueError("no")

    @task(tags=[tag])
    def following():
        return 2

    @flow
    def slots_failed():
        failing.submit().wait()
        assert following() == 2

    slots_failed(return_state=True)
    wait_until(lambda: holders(accounts, tag) == [], timeout=60)


def test_tasks_that_need_two_limited_tags_never_wait_for_each_other(accounts):
    one, two, witness = a_tag(accounts), a_tag(accounts), Witness()

    @task
    def visiting(_):
        with witness:
            moment()

    @flow
    def slots_of_two_tags():
        with tags(one, two):
            first = visiting.map(range(10))
        with tags(two, one):
            second = visiting.map(range(10))
        for future in (*first, *second):
            future.wait()

    slots_of_two_tags()
    assert (witness.visits, witness.most) == (20, 1)


@pytest.mark.parametrize("ending", ["cancel", "timeout"])
def test_a_run_that_is_stopped_ends_its_waiting_tasks(accounts, ending):
    tag, started, late = a_tag(accounts, 0), threading.Event(), threading.Event()

    @task(tags=[tag])
    def never():
        pytest.fail("ran without a slot")

    @flow(name=f"slots-{ending}-{tag}", timeout_seconds=200)
    def slots_stopped():
        future = never.submit()
        started.set()
        while not future.wait(0.05):
            if late.is_set():
                time_is_up()
            get_run_logger().info("The answer to a report tells that the run is to be cancelled")

    def cancel():
        assert started.wait(60)
        run = accounts.flow_run(slots_stopped)
        wait_until(
            lambda: [r.state_name for r in accounts.task_runs(run).values()] == ["AwaitingConcurrencySlot"], timeout=60
        )
        if ending == "cancel":
            accounts.client.send(flow_runs.set_flow_run_state(run.id, StateCreate(type=StateType.CANCELLING)))
        else:
            late.set()

    with ThreadPoolExecutor(1) as pool:
        cancelling = pool.submit(cancel)
        state = slots_stopped(return_state=True)
        cancelling.result()
    assert state.name == {"cancel": "Cancelled", "timeout": "TimedOut"}[ending]
    (found,) = accounts.task_runs(accounts.flow_run(slots_stopped)).values()
    assert found.state_type is StateType.CANCELLED
    assert holders(accounts, tag) == []


# -- concurrency() and rate_limit() ----------------------------------------------------------------------------------


def test_concurrency_holds_slots_around_code_of_many_tasks(accounts):
    name, witness = a_limit(accounts, 3), Witness()

    @task
    def visiting(_):
        with threads.concurrency(name, occupy=1), witness:
            moment()

    @flow
    def slots_in_tasks():
        visiting.map(range(30))

    slots_in_tasks()
    assert witness.visits == 30
    assert witness.most <= 3
    assert taken(accounts, name) == 0


def test_concurrency_is_awaited_by_coroutines(accounts):
    name, witness = a_limit(accounts, 2), Witness()

    @task
    async def visiting(_):
        async with coroutines.concurrency([name]):
            with witness:
                await asyncio.sleep(0.002)

    @flow
    async def slots_in_coroutines():
        await asyncio.gather(*(visiting(n) for n in range(30)))

    asyncio.run(slots_in_coroutines())
    assert witness.visits == 30
    assert witness.most <= 2
    assert taken(accounts, name) == 0


def test_slots_within_a_run_are_bound_to_it(accounts):
    name, seen = a_limit(accounts, 2), []

    @flow
    def slots_bound():
        with threads.concurrency(name, occupy=2):
            limit = accounts.client.send(limits.read_global_concurrency_limit_by_name(name))
            seen.extend(accounts.client.send(limits.read_slot_holders(limit.id)))

    slots_bound()
    assert [(held.slots, held.flow_run_id) for held in seen] == [(2, accounts.flow_run(slots_bound).id)]


def test_outside_of_runs_slots_are_leased_and_given_back(accounts):
    name, witness = a_limit(accounts, 2), Witness()

    def work(_):
        with threads.concurrency(name), witness:
            moment()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(24)))
    assert witness.visits == 24
    assert witness.most <= 2
    with threads.concurrency(name):
        limit = accounts.client.send(limits.read_global_concurrency_limit_by_name(name))
        (held,) = accounts.client.send(limits.read_slot_holders(limit.id))
        assert held.flow_run_id is None
        assert held.expires_at is not None
    assert taken(accounts, name) == 0


def test_outside_of_runs_coroutines_wait_as_well(accounts):
    name, witness = a_limit(accounts), Witness()

    async def visit():
        async with coroutines.concurrency(name):
            with witness:
                await asyncio.sleep(0.002)

    async def all_of_them():
        await asyncio.gather(*(visit() for _ in range(12)))

    asyncio.run(all_of_them())
    assert (witness.visits, witness.most, taken(accounts, name)) == (12, 1, 0)


def test_an_exception_in_the_body_gives_the_slots_back(accounts):
    name = a_limit(accounts)
    with pytest.raises(ValueError, match="no"), threads.concurrency(name):
        raise ValueError("no")
    assert taken(accounts, name) == 0


def test_waiting_ends_after_the_timeout_and_leaves_the_line(accounts):
    name = a_limit(accounts)
    with threads.concurrency(name):
        with (
            pytest.raises(threads.AcquireConcurrencySlotTimeoutError, match=name),
            threads.concurrency(name, timeout_seconds=0.2),
        ):
            pytest.fail("there was a slot")
        assert issubclass(threads.AcquireConcurrencySlotTimeoutError, TimeoutError)
    with threads.concurrency(name, timeout_seconds=60):
        assert taken(accounts, name) == 1


def test_a_coroutine_that_is_cancelled_while_it_waits_takes_nothing(accounts):
    name = a_limit(accounts)

    async def waiting():
        async with coroutines.concurrency(name):
            pytest.fail("there was a slot")

    async def cancelling():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting(), 0.3)

    with threads.concurrency(name):
        asyncio.run(cancelling())
    wait_until(lambda: taken(accounts, name) == 0, timeout=60)
    with threads.concurrency(name, timeout_seconds=60):
        assert taken(accounts, name) == 1


def test_more_slots_than_there_are_is_an_error(accounts):
    with (
        pytest.raises(threads.ConcurrencySlotAcquisitionError, match="there are only 2"),
        threads.concurrency(a_limit(accounts, 2), occupy=3),
    ):
        pytest.fail("there are no three slots")


def test_a_name_without_a_limit_limits_nothing_and_is_warned_of_once(accounts, caplog):
    name = a_limit(accounts)
    with caplog.at_level(logging.WARNING, logger="penstock.concurrency"):
        for _ in range(3):
            with threads.concurrency(f"{name}x"):
                pass
    (message,) = [record.getMessage() for record in caplog.records if record.name == "penstock.concurrency"]
    assert f"There is no concurrency limit '{name}x'" in message
    assert f"Did you mean '{name}'?" in message


def test_an_inactive_limit_limits_nothing(accounts):
    name = a_limit(accounts, 1, active=False, active_slots=1)
    with threads.concurrency(name, timeout_seconds=60):
        pass


def test_a_limit_that_is_raised_lets_waiting_tasks_go_on(accounts):
    name, entered = a_limit(accounts, 0), threading.Event()

    @task
    def visiting():
        with threads.concurrency(name):
            entered.set()

    @flow
    def slots_raised():
        future = visiting.submit()
        assert not entered.is_set()
        accounts.client.send(limits.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(limit=1)))
        future.result()

    slots_raised()
    assert entered.is_set()


def test_a_rate_is_kept_by_threads_and_coroutines(accounts):
    name = a_limit(accounts, 1, slot_decay_per_second=20.0)

    async def paced():
        await coroutines.rate_limit(name)

    begun = clock.monotonic()
    threads.rate_limit(name)
    threads.rate_limit([name], occupy=1)
    asyncio.run(paced())
    assert clock.monotonic() - begun > 0.09


def test_a_rate_needs_a_limit_whose_slots_decay(accounts):
    with pytest.raises(threads.ConcurrencySlotAcquisitionError, match="decay"):
        threads.rate_limit(a_limit(accounts))


def test_no_names_are_no_limits():
    with threads.concurrency([]):
        threads.rate_limit([])


@pytest.mark.parametrize(
    ("names", "options", "word"),
    [
        ("x", {"occupy": 0}, "occupy"),
        ("x", {"occupy": True}, "occupy"),
        ("x", {"timeout_seconds": -1}, "timeout_seconds"),
        ([1], {}, "name"),
        ("", {}, "name"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(names, options, word):
    with pytest.raises(ParameterError, match=word), threads.concurrency(names, **options):
        pytest.fail("was accepted")
