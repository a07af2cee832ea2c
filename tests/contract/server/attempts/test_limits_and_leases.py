"""What the server does by its own clock: limits, leases, lost attempts, fencing, adoption."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from penstock.errors import Conflict, Refused
from penstock.model.attempts import AttemptStatus, Limits
from penstock.model.reasons import Reason
from penstock.model.states import StateCreate, StateType
from penstock.server import keys
from penstock.server.database import tables as t
from penstock.server.operations.enforce_limits import Patience
from penstock.server.operations.insert_flow_run import insert_flow_run
from penstock.server.operations.look_for_orders import Terms, look_for_orders


@pytest.fixture
def agent_id() -> Any:
    return uuid4()


@pytest.fixture
def run_id(world: Any) -> Any:
    return world.run()


def test_a_claim_whose_agent_vanished_is_given_to_the_next_at_once_and_costs_nothing(
    world: Any, run_id: Any, agent_id: Any
) -> None:
    (claim,) = world.poll(agent_id).claims
    assert world.judge(after=14) == 0
    assert world.judge(after=1.1) == 1
    run = world.run_row(run_id)
    assert (run.state_type, run.infra_failures) == (StateType.SCHEDULED, 0)
    assert world.attempt(claim.attempt.id).reason == Reason.AGENT_LOST
    (second,) = world.poll().claims
    assert second.attempt.number == 2
    with pytest.raises(Conflict):
        world.intend(claim.attempt.id, agent_id)
    assert world.poll(agent_id, attempts=[claim.attempt.id]).release == [claim.attempt.id]


def test_a_run_that_loses_every_agent_is_not_handed_on_for_ever(world: Any, run_id: Any) -> None:
    for _ in range(10):
        assert len(world.poll().claims) == 1
        world.judge(after=16)
    assert world.run_row(run_id).state_type == StateType.CRASHED
    assert world.state(run_id).state_details["reason"] == Reason.AGENT_LOST


def test_a_launched_attempt_of_a_dead_agent_is_marked_then_adopted_by_one_of_the_same_reach(
    world: Any, run_id: Any, agent_id: Any
) -> None:
    attempt_id = world.started(run_id, agent_id)
    since = world.attempt(attempt_id).lease_expires_at
    world.judge(after=16)
    assert world.attempt(attempt_id).unobserved_since == since
    assert world.poll(reaches=["elsewhere"]).claims == []
    other = uuid4()
    (claim,) = world.poll(other, name="other", reaches=["elsewhere", "here"]).claims
    assert claim.attempt.id == attempt_id
    assert claim.attempt.status is AttemptStatus.RUNNING
    assert claim.attempt.handle is not None
    assert claim.attempt.unobserved_since is None
    assert claim.token == keys.attempt_token(attempt_id), "adoption keeps the token: the job goes on"
    assert not world.report(attempt_id, agent_id, observation=world.ended(code=1)).known
    assert world.poll(agent_id, attempts=[attempt_id]).release == [attempt_id]
    assert world.run_row(run_id).state_type == StateType.RUNNING


def test_an_agent_that_comes_back_gets_its_attempts_again(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id)
    world.judge(after=60)
    (claim,) = world.poll(agent_id).claims
    assert claim.attempt.id == attempt_id
    assert world.attempt(attempt_id).unobserved_since is None


def test_an_agent_that_polls_every_third_of_its_lease_keeps_all_its_attempts(world: Any, agent_id: Any) -> None:
    held: list[Any] = []
    for _ in range(12):
        world.run()
        held += [claim.attempt.id for claim in world.poll(agent_id, attempts=held).claims]
        world.time.forward(4.9)
        ask = world.ask(agent_id, attempts=held, capacity=0)
        if world.write(look_for_orders, ask, world.terms).act:
            world.write_claims(ask)
        world.judge()
        assert all(world.attempt(i).lease_expires_at > world.time.now + timedelta(seconds=4.9) for i in held)
    assert len(held) == 12


def test_a_server_that_has_just_started_judges_no_lease(world: Any, run_id: Any, agent_id: Any) -> None:
    world.started(run_id, agent_id)
    claimed = world.run()
    assert len(world.poll(agent_id, capacity=2).claims) == 2
    world.patience = Patience(judge_leases=False)
    world.terms = Terms(judge_leases=False)
    world.judge(after=100)
    assert world.run_row(claimed).state_type == StateType.PENDING
    assert world.poll().claims == []


def test_a_passed_start_limit_orders_the_living_agent_to_stop_and_only_then_crashes(
    world: Any, run_id: Any, agent_id: Any
) -> None:
    (claim,) = world.poll(agent_id).claims
    world.intend(claim.attempt.id, agent_id, limits=Limits(start=10))
    held = {"attempts": [claim.attempt.id]}
    world.report(claim.attempt.id, agent_id, observation=world.seen("PENDING", waiting_for="a node with 900 CPUs"))
    world.time.forward(5)
    world.poll(agent_id, **held)
    world.judge(after=6)
    assert world.run_row(run_id).state_type == StateType.PENDING, "fence first, then verdict"
    (order,) = world.poll(agent_id, **held).cancel
    assert order.attempt_id == claim.attempt.id
    with pytest.raises(Refused):
        world.present(claim.attempt.id)
    assert world.poll(agent_id, **held, cancelling=[claim.attempt.id]).cancel == []
    world.report(claim.attempt.id, agent_id, observation=world.ended(signal=15), gone=True)
    assert world.state(run_id).state_details["reason"] == Reason.START_TIMEOUT


def test_with_all_agents_dead_the_token_is_revoked_before_the_verdict(world: Any, run_id: Any, agent_id: Any) -> None:
    (claim,) = world.poll(agent_id).claims
    world.intend(claim.attempt.id, agent_id, limits=Limits(start=30))
    world.report(claim.attempt.id, agent_id, observation=world.seen("PENDING", waiting_for="room", message="0/3 nodes"))
    world.judge(after=31)
    state = world.state(run_id)
    assert (state.type, state.state_details["reason"]) == (StateType.CRASHED, Reason.START_TIMEOUT)
    assert "waiting for room" in state.message
    assert "0/3 nodes" in state.message
    with pytest.raises(Refused):
        world.present(claim.attempt.id)


def test_a_passed_run_limit_stops_the_job(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id, Limits(run=5))
    world.judge(after=6)
    assert world.attempt(attempt_id).stop_reason == Reason.RUN_TIMEOUT
    world.report(attempt_id, agent_id, observation=world.ended(signal=9), gone=True)
    state = world.state(run_id)
    assert (state.type, state.state_details["reason"]) == (StateType.CRASHED, Reason.RUN_TIMEOUT)
    assert "SIGKILL" in state.message


def test_a_running_attempt_that_nobody_speaks_for_is_lost(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id)
    world.judge(after=100)
    world.change(t.attempt, attempt_id, last_reported_at=world.time.now)
    world.judge(after=100)
    assert world.run_row(run_id).state_type == StateType.RUNNING, "its engine was heard of"
    world.judge(after=21)
    state = world.state(run_id)
    assert (state.type, state.state_details["reason"]) == (StateType.CRASHED, Reason.LOST)
    with pytest.raises(Refused):
        world.present(attempt_id)


def test_a_job_that_lingers_after_its_run_is_stopped_and_changes_nothing(
    world: Any, run_id: Any, agent_id: Any
) -> None:
    attempt_id = world.started(run_id, agent_id)
    world.propose(run_id, StateType.COMPLETED, attempt=(attempt_id, keys.attempt_token(attempt_id)))
    world.poll(agent_id, attempts=[attempt_id])
    world.judge(after=59)
    world.poll(agent_id, attempts=[attempt_id])
    world.judge(after=2)
    assert [order.attempt_id for order in world.poll(agent_id, attempts=[attempt_id]).cancel] == [attempt_id]
    world.report(attempt_id, agent_id, observation=world.ended(signal=9), gone=True)
    assert world.run_row(run_id).state_type == StateType.COMPLETED
    assert world.attempt(attempt_id).status == AttemptStatus.ENDED


def test_cancelled_comes_only_when_the_job_is_confirmed_gone(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id)
    world.propose(run_id, StateType.CANCELLING)
    assert world.run_row(run_id).state_type == StateType.CANCELLING
    assert [order.attempt_id for order in world.poll(agent_id, attempts=[attempt_id]).cancel] == [attempt_id]
    world.report(attempt_id, agent_id, observation=world.ended(signal=15))
    assert world.run_row(run_id).state_type == StateType.CANCELLING, "children of the job may live"
    world.report(attempt_id, agent_id, gone=True)
    state = world.state(run_id)
    assert (state.type, state.state_details["reason"]) == (StateType.CANCELLED, Reason.CANCELLED)
    assert world.attempt(attempt_id).exit["signal"] == 15


def test_a_cancellation_that_nobody_confirms_is_forced(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id, Limits(cancel=10, grace=5))
    world.propose(run_id, StateType.CANCELLING)
    world.judge(after=14)
    assert world.run_row(run_id).state_type == StateType.CANCELLING
    world.judge(after=2)
    state = world.state(run_id)
    assert (state.type, state.state_details["reason"]) == (StateType.CANCELLED, Reason.CANCEL_FORCED)
    assert f"job-{attempt_id.hex}" in state.message
    with pytest.raises(Refused):
        world.present(attempt_id)


def test_a_run_outside_of_any_attempt_is_touched_only_when_it_does_not_stop(world: Any) -> None:
    row, _ = world.write(insert_flow_run, {"flow_id": world.flow_id}, StateCreate(type=StateType.PENDING))
    world.propose(row.id, StateType.RUNNING)
    assert world.judge(after=100_000) == 0
    world.propose(row.id, StateType.CANCELLING)
    world.judge(after=59)
    assert world.run_row(row.id).state_type == StateType.CANCELLING
    world.judge(after=2)
    assert world.state(row.id).state_details["reason"] == Reason.CANCEL_FORCED


def test_what_was_only_claimed_is_cancelled_at_once(world: Any, run_id: Any, agent_id: Any) -> None:
    (claim,) = world.poll(agent_id).claims
    world.propose(run_id, StateType.CANCELLING)
    assert world.run_row(run_id).state_type == StateType.CANCELLED
    assert world.attempt(claim.attempt.id).status == AttemptStatus.ENDED
    assert world.poll(agent_id, attempts=[claim.attempt.id]).release == [claim.attempt.id]
