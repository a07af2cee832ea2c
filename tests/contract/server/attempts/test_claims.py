"""Which agent gets which run, and what else a poll tells it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.attempts import AttemptStatus
from penstock.model.reasons import Reason
from penstock.model.states import StateType
from penstock.model.work_pools import WorkPoolCreate
from penstock.server import keys
from penstock.server.database import tables as t
from penstock.server.operations.create_work_pool import create_work_pool
from penstock.server.operations.look_for_orders import Terms, look_for_orders


def claimed(orders: Any) -> list[Any]:
    return [claim.flow_run.id for claim in orders.claims]


def test_a_claim_takes_the_run_to_pending_and_carries_all_it_takes_to_launch_it(world: Any) -> None:
    run_id = world.run(name="quick-fox", parameters={"x": 1})
    agent_id = uuid4()
    (claim,) = world.poll(agent_id).claims
    assert claim.flow_run.id == run_id
    assert claim.flow_run.state_type is StateType.PENDING
    assert claim.flow_run.parameters == {"x": 1}
    assert claim.flow.name == "flow"
    assert claim.attempt.number == 1
    assert claim.attempt.status is AttemptStatus.CLAIMED
    assert claim.attempt.agent_id == agent_id
    assert claim.token == keys.attempt_token(claim.attempt.id)
    assert claim.attempt.lease_expires_at == world.time.now + timedelta(seconds=15)


def test_a_claimed_run_is_nobody_elses(world: Any) -> None:
    world.run()
    assert len(world.poll().claims) == 1
    assert world.poll().claims == []


def test_the_same_poll_asked_again_gets_the_same_claims_and_no_more(world: Any) -> None:
    for _ in range(5):
        world.run()
    agent_id = uuid4()
    first = world.poll(agent_id, capacity=2)
    again = world.poll(agent_id, capacity=2)
    assert len(first.claims) == 2
    assert {c.attempt.id: c.token for c in first.claims} == {c.attempt.id: c.token for c in again.claims}


def test_an_agent_that_lists_its_attempts_gets_new_ones(world: Any) -> None:
    for _ in range(3):
        world.run()
    agent_id = uuid4()
    held = [claim.attempt.id for claim in world.poll(agent_id, capacity=2).claims]
    assert len(world.poll(agent_id, capacity=2, attempts=held).claims) == 1


def test_runs_come_by_priority_of_their_queue_then_by_time(world: Any) -> None:
    slow = world.queue("slow", priority=9)
    fast = world.queue("fast", priority=1)
    late_fast = world.run(fast, due=-1)
    early_slow = world.run(slow, due=-50)
    early_fast = world.run(fast, due=-5)
    orders = world.poll(work_queues=["slow", "fast"], capacity=3)
    by_claim = sorted(orders.claims, key=lambda claim: claim.attempt.claimed_at)
    assert set(claimed(orders)) == {late_fast, early_slow, early_fast}
    assert by_claim
    for _ in range(2):
        world.run(slow, due=-100)
    first = world.run(fast, due=0)
    assert claimed(world.poll(work_queues=["slow", "fast"], capacity=1)) == [first]


def test_only_due_runs_are_claimed_or_those_within_the_prefetch(world: Any) -> None:
    run_id = world.run(due=8)
    assert world.poll().claims == []
    assert claimed(world.poll(prefetch_seconds=10)) == [run_id]


def test_runs_of_other_queues_are_left_alone(world: Any) -> None:
    world.run(world.queue("other"))
    assert world.poll().claims == []


def test_prefixes_and_whole_pools_are_served(world: Any) -> None:
    world.write(create_work_pool, WorkPoolCreate(name="pool"))
    a, b = world.queue("team-a", "pool"), world.queue("team-b", "pool")
    c = world.queue("other", "pool")
    runs = [world.run(queue) for queue in (a, b, c)]
    by_prefix = world.poll(work_pool="pool", work_queues=[], work_queue_prefixes=["team-"], capacity=5)
    assert set(claimed(by_prefix)) == set(runs[:2])
    assert claimed(world.poll(work_pool="pool", work_queues=[], capacity=5)) == [runs[2]]


def test_a_percent_sign_in_a_prefix_is_a_percent_sign(world: Any) -> None:
    world.run()
    assert world.poll(work_queues=[], work_queue_prefixes=["%"]).claims == []


def test_a_queue_that_an_agent_names_comes_into_being(world: Any) -> None:
    world.poll(work_queues=["new"])
    names = world.write(lambda tx: tx.execute(sa.select(t.work_queue.c.name)).scalars().all())
    assert "new" in names


def test_an_unknown_pool_is_an_error_that_names_the_nearest(world: Any) -> None:
    with pytest.raises(NotFound, match="default-agent-pool"):
        world.poll(work_pool="default-agent-pol")


@pytest.mark.parametrize("table", ["work_queue", "work_pool"])
def test_what_is_paused_gives_no_runs_and_says_so(world: Any, table: str) -> None:
    world.run()
    queue = world.one(t.work_queue, world.queue_id)
    world.change(
        *((t.work_queue, queue.id) if table == "work_queue" else (t.work_pool, queue.work_pool_id)), is_paused=True
    )
    orders = world.poll()
    assert orders.claims == []
    assert orders.paused == ["q"]


def test_a_limit_of_a_queue_counts_open_attempts_until_the_run_is_over(world: Any) -> None:
    queue = world.queue("limited", concurrency_limit=2)
    for _ in range(5):
        world.run(queue)
    first = world.poll(work_queues=["limited"], capacity=5)
    assert len(first.claims) == 2
    assert world.poll(work_queues=["limited"], capacity=5).claims == []
    world.propose(first.claims[0].flow_run.id, StateType.FAILED, force=True)
    assert len(world.poll(work_queues=["limited"], capacity=5).claims) == 1


def test_a_limit_of_zero_lets_nothing_through(world: Any) -> None:
    world.run(world.queue("shut", concurrency_limit=0))
    assert world.poll(work_queues=["shut"]).claims == []


def test_a_limit_of_a_pool_holds_over_all_its_queues(world: Any) -> None:
    world.write(create_work_pool, WorkPoolCreate(name="pool", concurrency_limit=3))
    queues = [world.queue(name, "pool") for name in ("one", "two")]
    for queue in queues * 3:
        world.run(queue)
    assert len(world.poll(work_pool="pool", work_queues=["one"], capacity=2).claims) == 2
    assert len(world.poll(work_pool="pool", work_queues=["two"], capacity=5).claims) == 1


def test_an_agents_limit_holds_even_if_it_asks_for_more(world: Any) -> None:
    for _ in range(5):
        world.run()
    agent_id = uuid4()
    held = [claim.attempt.id for claim in world.poll(agent_id, capacity=2, limit=3).claims]
    assert len(world.poll(agent_id, capacity=5, limit=3, attempts=held).claims) == 1


def test_a_draining_agent_gets_nothing_new(world: Any) -> None:
    world.run()
    assert world.poll(draining=True, capacity=5).claims == []


def test_what_a_draining_agent_lets_go_of_is_launched_by_the_next_one_at_once(world: Any) -> None:
    run_id, agent_id = world.run(), uuid4()
    world.poll(agent_id)
    world.poll(agent_id, draining=True)
    world.judge(after=0.01)
    assert world.run_row(run_id).state_type == StateType.SCHEDULED
    assert claimed(world.poll()) == [run_id]


def test_what_is_over_or_anothers_is_to_be_forgotten(world: Any) -> None:
    run_id, agent_id = world.run(), uuid4()
    (claim,) = world.poll(agent_id).claims
    world.propose(run_id, StateType.CANCELLED)
    stranger = uuid4()
    orders = world.poll(agent_id, attempts=[claim.attempt.id, stranger])
    assert orders.release == [claim.attempt.id, stranger]
    assert orders.claims == []


def test_a_run_that_waits_in_its_process_for_its_own_retry_is_not_launched_again(world: Any) -> None:
    run_id, agent_id = world.run(), uuid4()
    attempt_id = world.started(run_id, agent_id)
    world.propose(run_id, StateType.SCHEDULED, name="AwaitingRetry", force=True)
    assert world.poll().claims == []
    world.report(attempt_id, agent_id, observation=world.ended(code=1))
    assert claimed(world.poll()) == [run_id]


def test_an_idle_poll_only_reads(world: Any) -> None:
    agent_id = uuid4()
    assert world.write(look_for_orders, world.ask(agent_id), Terms()).act
    world.poll(agent_id)
    assert not world.write(look_for_orders, world.ask(agent_id), Terms()).act
    world.time.forward(6)
    assert world.write(look_for_orders, world.ask(agent_id), Terms()).act, "a third of the lease is used up"


def test_a_look_says_when_the_next_run_is_due(world: Any) -> None:
    agent_id = uuid4()
    world.poll(agent_id)
    world.run(due=30)
    world.run(due=3)
    look = world.write(look_for_orders, world.ask(agent_id), Terms())
    assert look.next_due == world.time.now + timedelta(seconds=3)


def test_a_full_queue_gives_no_reason_to_write(world: Any) -> None:
    queue, agent_id = world.queue("full", concurrency_limit=1), uuid4()
    world.run(queue), world.run(queue)
    held = [claim.attempt.id for claim in world.poll(agent_id, work_queues=["full"]).claims]
    ask = world.ask(agent_id, work_queues=["full"], attempts=held)
    assert not world.write(look_for_orders, ask, Terms()).act


def test_a_run_whose_infrastructure_was_deleted_crashes_and_spoils_no_other(world: Any) -> None:
    bad = world.run(infrastructure_document_id=uuid4())
    good = world.run()
    orders = world.poll(capacity=5)
    assert claimed(orders) == [good]
    assert world.run_row(bad).state_type == StateType.CRASHED
    assert world.state(bad).state_details["reason"] == Reason.CONFIGURATION_INVALID
    assert world.attempts(bad)[0].status == AttemptStatus.ENDED


def test_polling_is_remembered_of_agent_and_queue(world: Any) -> None:
    agent_id = uuid4()
    world.poll(agent_id, name="bob", host="box")
    agent = world.one(t.agent, agent_id)
    assert (agent.name, agent.host) == ("bob", "box")
    assert agent.last_polled == world.time.now
    assert world.one(t.work_queue, world.queue_id).last_polled == world.time.now
