"""Paused and suspended runs by the server's own clock: limits, timeouts, resuming, cancelling, lost processes."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from penstock.model.attempts import AttemptStatus, Limits
from penstock.model.flow_run_inputs import FlowRunInputCreate
from penstock.model.flow_runs import FlowRunCreate
from penstock.model.reasons import Reason
from penstock.model.reports import ReportBatch
from penstock.model.states import Answer, StateCreate, StateDetails, StateType
from penstock.server import keys
from penstock.server.database import tables as t
from penstock.server.operations.apply_reports import apply_reports
from penstock.server.operations.close_lost_runs import close_lost_runs
from penstock.server.operations.create_flow_run import create_flow_run
from penstock.server.operations.create_flow_run_input import create_flow_run_input
from penstock.server.operations.expire_pauses import expire_pauses, find_expired_pauses
from penstock.server.operations.explain_flow_run import explain_flow_run
from penstock.server.operations.read_flow_run_inputs import read_flow_run_input
from penstock.server.operations.resume_flow_run import resume_flow_run
from penstock.server.operations.set_flow_run_state import set_flow_run_state

KEYSET = {"schema": "paused-1-schema", "response": "paused-1-response", "description": "paused-1-description"}


@pytest.fixture
def agent_id() -> UUID:
    return uuid4()


@pytest.fixture
def run_id(world: Any, deployment_id: UUID) -> Any:
    return world.run(deployment_id=deployment_id)


@pytest.fixture
def deployment_id(world: Any) -> UUID:
    row = {
        "id": uuid4(),
        "created": world.time.now,
        "updated": world.time.now,
        "name": "deployed",
        "flow_id": world.flow_id,
        "is_schedule_active": False,
        "paused": False,
        "infra_overrides": {},
        "parameters": {},
        "tags": [],
        "enforce_parameter_schema": False,
        "work_queue_id": world.queue_id,
    }
    world.write(lambda tx: tx.execute(sa.insert(t.deployment), row))
    return UUID(str(row["id"]))


def details(world: Any, timeout: float | None = 60, **more: Any) -> StateDetails:
    until = None if timeout is None else world.time.now + timedelta(seconds=timeout)
    return StateDetails(pause_timeout=until, **more)


def pause(world: Any, run_id: UUID, timeout: float | None = 60, **more: Any) -> Any:
    return world.propose(run_id, StateType.PAUSED, state_details=details(world, timeout, **more))[0]


def expire(world: Any) -> int:
    found = world.write(find_expired_pauses)
    return int(world.write(expire_pauses, found)) if found else 0


def leave(world: Any, attempt_id: UUID, agent_id: UUID) -> None:
    """The job of the attempt ends well."""
    world.report(attempt_id, agent_id, observation=world.ended(code=0), gone=True)


def test_the_run_limit_does_not_count_the_time_for_which_the_run_was_paused(
    world: Any, run_id: UUID, agent_id: UUID
) -> None:
    attempt_id = world.started(run_id, agent_id, Limits(run=100))
    world.time.forward(50)
    pause(world, run_id, timeout=10_000)
    world.poll(agent_id, attempts=[attempt_id])
    world.judge(after=0)
    for _ in range(100):
        world.time.forward(10)
        world.poll(agent_id, attempts=[attempt_id])
        world.judge()
    assert world.attempt(attempt_id).cancel_requested_at is None
    world.write(resume_flow_run, run_id)
    world.judge(after=45)
    assert world.attempt(attempt_id).stop_reason is None
    world.poll(agent_id, attempts=[attempt_id])
    world.judge(after=10)
    assert world.attempt(attempt_id).stop_reason == Reason.RUN_TIMEOUT


def test_a_pause_is_over_its_time_by_the_servers_clock_and_not_before(world: Any, run_id: UUID, agent_id: UUID) -> None:
    attempt_id = world.started(run_id, agent_id)
    pause(world, run_id, timeout=60)
    world.time.forward(59.5)
    assert expire(world) == 0
    world.time.forward(1)
    assert expire(world) == 1
    state = world.state(run_id)
    assert (state.type, state.state_details["reason"]) == (StateType.FAILED, Reason.PAUSE_EXPIRED)
    assert "was paused, and nobody resumed it until" in state.message
    assert world.attempt(attempt_id).cancel_requested_at is None, "its process learns of it and ends by itself"
    assert expire(world) == 0


def test_whoever_resumes_too_late_is_told_so(world: Any, run_id: UUID, agent_id: UUID) -> None:
    world.started(run_id, agent_id)
    pause(world, run_id, timeout=10)
    world.time.forward(10)
    answer, wrote = world.write(resume_flow_run, run_id)
    assert (answer.status, wrote) == (Answer.REJECT, True)
    assert answer.state.type is StateType.FAILED


def test_a_pause_without_a_timeout_waits_for_ever(world: Any, run_id: UUID, agent_id: UUID) -> None:
    world.started(run_id, agent_id)
    pause(world, run_id, timeout=None)
    world.time.forward(10_000_000)
    assert expire(world) == 0
    assert world.write(resume_flow_run, run_id)[0].status is Answer.ACCEPT


def test_a_suspended_run_keeps_its_state_when_its_process_leaves_and_waits_for_no_agent(
    world: Any, run_id: UUID, agent_id: UUID
) -> None:
    attempt_id = world.started(run_id, agent_id)
    assert pause(world, run_id, pause_reschedule=True).status is Answer.ACCEPT
    leave(world, attempt_id, agent_id)
    ended = world.attempt(attempt_id)
    assert (ended.status, ended.reason, ended.message) == (AttemptStatus.ENDED, None, None)
    row = world.run_row(run_id)
    assert (row.state_type, row.state_name) == (StateType.PAUSED, "Suspended")
    assert world.poll().claims == []
    assert world.write(explain_flow_run, run_id)["explanation"].startswith("It is suspended, and its process has left,")
    assert world.write(resume_flow_run, run_id)[0].state.name == "Resuming"
    (claim,) = world.poll().claims
    assert claim.attempt.number == 2


def test_a_run_that_is_resumed_before_its_process_has_left_waits_until_it_has(
    world: Any, run_id: UUID, agent_id: UUID
) -> None:
    attempt_id = world.started(run_id, agent_id)
    pause(world, run_id, pause_reschedule=True)
    world.write(resume_flow_run, run_id)
    assert world.poll().claims == []
    leave(world, attempt_id, agent_id)
    assert world.run_row(run_id).state_type == StateType.SCHEDULED
    assert len(world.poll().claims) == 1


def test_being_resumed_spends_no_retry(world: Any, deployment_id: UUID, agent_id: UUID) -> None:
    run_id = world.run(deployment_id=deployment_id, empirical_policy={"retries": 1, "retry_delay": 0})
    for number in range(3):
        attempt_id = world.started(run_id, agent_id)
        pause(world, run_id, pause_reschedule=True, pause_key=str(number))
        leave(world, attempt_id, agent_id)
        world.write(resume_flow_run, run_id)
    world.started(run_id, agent_id)
    assert world.run_row(run_id).run_count == 1
    assert world.propose(run_id, StateType.FAILED)[0].state.name == "AwaitingRetry"
    world.propose(run_id, StateType.RUNNING)
    assert world.run_row(run_id).run_count == 2
    assert world.propose(run_id, StateType.FAILED)[0].status is Answer.ACCEPT


def test_a_key_that_was_used_is_passed_also_after_the_run_was_launched_again(
    world: Any, run_id: UUID, agent_id: UUID
) -> None:
    attempt_id = world.started(run_id, agent_id)
    pause(world, run_id, pause_reschedule=True, pause_key="1")
    leave(world, attempt_id, agent_id)
    world.write(resume_flow_run, run_id)
    world.started(run_id, agent_id)
    answer = pause(world, run_id, pause_reschedule=True, pause_key="1")
    assert (answer.status, answer.state.type) == (Answer.REJECT, StateType.RUNNING)


def test_a_repeated_resume_is_answered_as_the_first_one(world: Any, run_id: UUID, agent_id: UUID) -> None:
    world.started(run_id, agent_id)
    pause(world, run_id)
    state_id = uuid4()
    first, wrote = world.write(resume_flow_run, run_id, None, state_id)
    again, wrote_again = world.write(resume_flow_run, run_id, None, state_id)
    assert (first.status, again.status) == (Answer.ACCEPT, Answer.ACCEPT)
    assert (wrote, wrote_again) == (True, False)
    assert world.write(resume_flow_run, run_id, None, uuid4())[0].status is Answer.ABORT


def test_input_is_checked_kept_and_forgotten_when_the_run_asks_anew(world: Any, run_id: UUID, agent_id: UUID) -> None:
    world.started(run_id, agent_id)
    pause(world, run_id, pause_key="1", run_input_keyset=KEYSET)
    early = world.write(resume_flow_run, run_id, {"value": 1})[0]
    assert "has not said of what kind" in early.details.reason
    schema = '{"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}'
    world.write(create_flow_run_input, run_id, FlowRunInputCreate(key=KEYSET["schema"], value=schema))
    refused, wrote = world.write(resume_flow_run, run_id, {"value": "x"})
    assert (refused.status, refused.details.type, wrote) == (Answer.REJECT, "abort_details", False)
    assert refused.state.type is StateType.PAUSED
    assert world.write(resume_flow_run, run_id, {"value": 1})[0].status is Answer.ACCEPT
    assert world.write(read_flow_run_input, run_id, KEYSET["response"]).value == '{"value":1}'
    pause(world, run_id, pause_key="2", run_input_keyset=KEYSET)
    known = sa.select(t.flow_run_input.c.key).where(t.flow_run_input.c.flow_run_id == run_id)
    assert world.write(lambda tx: list(tx.execute(known).scalars())) == [KEYSET["schema"]]


def test_a_suspended_run_is_cancelled_at_once_and_a_paused_one_when_its_process_is_gone(
    world: Any, run_id: UUID, agent_id: UUID
) -> None:
    attempt_id = world.started(run_id, agent_id)
    pause(world, run_id)
    assert world.propose(run_id, StateType.CANCELLING)[0].status is Answer.ACCEPT
    assert world.attempt(attempt_id).cancel_requested_at is not None
    world.report(attempt_id, agent_id, observation=world.ended(signal=15), gone=True)
    assert world.run_row(run_id).state_type == StateType.CANCELLED


def test_a_suspended_run_whose_process_has_left_is_cancelled_at_once(world: Any, run_id: UUID, agent_id: UUID) -> None:
    attempt_id = world.started(run_id, agent_id)
    pause(world, run_id, pause_reschedule=True)
    leave(world, attempt_id, agent_id)
    answer, _ = world.propose(run_id, StateType.CANCELLING)
    assert answer.state.type is StateType.CANCELLED


@pytest.mark.parametrize(("suspended", "ends"), [(False, StateType.CRASHED), (True, StateType.PAUSED)])
def test_a_program_that_is_gone_while_its_run_is_paused_is_noticed(
    world: Any, deployment_id: UUID, suspended: bool, ends: StateType
) -> None:
    asked = FlowRunCreate(flow_id=world.flow_id, state=StateCreate(type=StateType.RUNNING), deployment_id=deployment_id)
    run, _ = world.write(create_flow_run, asked)
    world.write(
        lambda tx: tx.execute(
            sa.update(t.flow_run).where(t.flow_run.c.id == run.id).values(work_queue_id=world.queue_id)
        )
    )
    world.write(apply_reports, ReportBatch(stream=uuid4(), sequence=1, flow_run_id=run.id))
    assert pause(world, run.id, timeout=None, pause_reschedule=suspended).status is Answer.ACCEPT
    world.time.forward(4000)
    world.write(close_lost_runs, 3900.0)
    assert world.run_row(run.id).state_type == ends


def test_a_run_that_reports_is_told_that_it_is_paused(world: Any, run_id: UUID, agent_id: UUID) -> None:
    attempt_id = world.started(run_id, agent_id)
    credential = (attempt_id, keys.attempt_token(attempt_id))
    batch = ReportBatch(stream=uuid4(), sequence=1, flow_run_id=run_id)
    assert world.write(apply_reports, batch, attempt=credential).paused is False
    pause(world, run_id)
    batch = batch.model_copy(update={"sequence": 2})
    assert world.write(apply_reports, batch, attempt=credential).paused is True


def test_a_subflow_run_in_its_parents_process_cannot_be_suspended(world: Any, deployment_id: UUID) -> None:
    asked = FlowRunCreate(flow_id=world.flow_id, state=StateCreate(type=StateType.RUNNING), parent_task_run_id=uuid4())
    run, _ = world.write(create_flow_run, asked)
    proposed = StateCreate(type=StateType.PAUSED, state_details=details(world, pause_reschedule=True))
    answer, _ = world.write(set_flow_run_state, run.id, proposed)
    assert (answer.status, "shares its parent's process" in answer.details.reason) == (Answer.ABORT, True)
