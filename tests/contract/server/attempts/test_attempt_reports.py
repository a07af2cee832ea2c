"""Intent, handles, observations, failures: what follows from what agents and engines say."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from penstock.errors import Conflict, NotAuthorized, NotFound, Refused
from penstock.model.attempts import AttemptReport, AttemptStatus
from penstock.model.reasons import Phase, Reason
from penstock.model.states import StateDetails, StateType
from penstock.server import keys
from penstock.server.database import tables as t
from penstock.server.operations.apply_attempt_reports import apply_attempt_reports
from penstock.server.operations.read_attempts import read_attempt, read_attempts
from penstock.server.rules.limits import LAST_WORDS_SECONDS


@pytest.fixture
def agent_id() -> Any:
    return uuid4()


@pytest.fixture
def run_id(world: Any) -> Any:
    return world.run()


@pytest.fixture
def claim(world: Any, run_id: Any, agent_id: Any) -> Any:
    return world.poll(agent_id).claims[0]


def test_intent_is_written_once(world: Any, claim: Any, agent_id: Any) -> None:
    first = world.intend(claim.attempt.id, agent_id, configuration={"type": "process"})
    assert first.status is AttemptStatus.LAUNCHING
    assert first.launched_at == world.time.now
    world.time.forward(1)
    assert world.intend(claim.attempt.id, agent_id).launched_at == first.launched_at


def test_intent_of_a_stranger_and_of_another_job_name_are_refused(world: Any, claim: Any, agent_id: Any) -> None:
    with pytest.raises(Conflict, match="belongs to agent"):
        world.intend(claim.attempt.id, uuid4())
    world.intend(claim.attempt.id, agent_id, job_name="one")
    with pytest.raises(Conflict, match="'one'"):
        world.intend(claim.attempt.id, agent_id, job_name="two")
    with pytest.raises(NotFound):
        world.intend(uuid4(), agent_id)


def test_intent_for_a_cancelled_run_is_refused(world: Any, claim: Any, run_id: Any, agent_id: Any) -> None:
    world.propose(run_id, StateType.CANCELLING)
    assert world.run_row(run_id).state_type == StateType.CANCELLED
    with pytest.raises(Conflict, match="is over"):
        world.intend(claim.attempt.id, agent_id)


def test_a_handle_makes_it_started_and_names_the_process(world: Any, claim: Any, run_id: Any, agent_id: Any) -> None:
    world.intend(claim.attempt.id, agent_id)
    handle = {"type": "process", "version": 1, "data": {"pid": 7}}
    for _ in range(2):
        result = world.report(claim.attempt.id, agent_id, handle=handle, infrastructure_pid="box:7")
        assert result.status is AttemptStatus.STARTED
    assert world.attempt(claim.attempt.id).handle == handle
    assert world.run_row(run_id).infrastructure_pid == "box:7"


def test_a_handle_that_comes_after_the_presentation_leaves_it_running(world: Any, claim: Any, agent_id: Any) -> None:
    world.intend(claim.attempt.id, agent_id)
    world.present(claim.attempt.id)
    result = world.report(claim.attempt.id, agent_id, handle={"type": "process", "version": 1, "data": {}})
    assert result.status is AttemptStatus.RUNNING


def test_presenting_is_for_one_process_only(world: Any, claim: Any, agent_id: Any) -> None:
    world.intend(claim.attempt.id, agent_id)
    instance = uuid4()
    first = world.present(claim.attempt.id, instance)
    assert first.attempt.status is AttemptStatus.RUNNING
    assert first.flow.name == "flow"
    world.time.forward(3)
    assert world.present(claim.attempt.id, instance).attempt.running_at == first.attempt.running_at
    with pytest.raises(Refused) as refusal:
        world.present(claim.attempt.id)
    assert (refusal.value.code, refusal.value.status) == ("attempt_taken", 409)


def test_a_wrong_token_is_not_let_in(world: Any, claim: Any) -> None:
    with pytest.raises(NotAuthorized):
        world.present(claim.attempt.id, token="guess")
    with pytest.raises(NotAuthorized):
        world.present(claim.attempt.id, token=keys.attempt_token(uuid4()))


@pytest.mark.parametrize("what", ["ended", "cancelling", "run over"])
def test_a_superseded_token_is_refused_before_user_code(
    world: Any, claim: Any, run_id: Any, agent_id: Any, what: str
) -> None:
    world.intend(claim.attempt.id, agent_id)
    if what == "ended":
        world.report(claim.attempt.id, agent_id, failure=True, reason=Reason.IMAGE_NOT_FOUND)
    elif what == "cancelling":
        world.propose(run_id, StateType.CANCELLING)
    else:
        world.propose(run_id, StateType.FAILED, force=True)
    with pytest.raises(Refused) as refusal:
        world.present(claim.attempt.id)
    assert (refusal.value.code, refusal.value.status) == ("attempt_superseded", 409)


@pytest.mark.parametrize(
    ("how", "reason", "words"),
    [
        ({"signal": 9}, Reason.SIGNALLED, "SIGKILL (signal 9)"),
        ({"code": 3}, Reason.EXITED, "exit code 3"),
        ({"code": 0}, Reason.EXITED, "without reporting a final state"),
        ({"signal": 9, "oom": True}, Reason.OUT_OF_MEMORY, "ran out of memory"),
        ({}, Reason.UNKNOWN, "how is not known"),
        ({"reason": Reason.HOST_REBOOTED}, Reason.HOST_REBOOTED, ""),
    ],
)
def test_a_job_that_ends_without_a_final_state_crashes_its_run(
    world: Any, run_id: Any, agent_id: Any, how: Any, reason: Reason, words: str
) -> None:
    attempt_id = world.started(run_id, agent_id)
    result = world.report(attempt_id, agent_id, observation=world.ended(**how), output_tail="last words")
    assert result.status is AttemptStatus.ENDED
    state, attempt = world.state(run_id), world.attempt(attempt_id)
    assert state.type == StateType.CRASHED
    assert words in state.message
    assert state.state_details["reason"] == attempt.reason == reason
    assert state.state_details["phase"] == attempt.phase == Phase.RUN
    assert state.state_details["hint"] == attempt.hint
    assert attempt.output_tail == "last words"
    assert attempt.exit == {"oom": False, **how}


def _told_to_end(world: Any, run_id: Any, attempt_id: Any) -> None:
    """The engine's words on SIGTERM."""
    details = StateDetails(phase=Phase.RUN, reason=Reason.SIGNALLED)
    own = (attempt_id, keys.attempt_token(attempt_id))
    world.propose(run_id, StateType.CRASHED, message="told to end", state_details=details, attempt=own)


@pytest.mark.parametrize(
    ("how", "state", "reason", "spent"),
    [
        ({"code": 143, "reason": Reason.EVICTED}, StateType.SCHEDULED, Reason.EVICTED, 1),
        ({"code": 143, "reason": Reason.PREEMPTED}, StateType.SCHEDULED, Reason.PREEMPTED, 1),
        ({"reason": Reason.NODE_LOST}, StateType.SCHEDULED, Reason.NODE_LOST, 1),
        ({"code": 143, "reason": Reason.DELETED}, StateType.CRASHED, Reason.DELETED, 0),
        ({"code": 143, "reason": Reason.EXITED}, StateType.CRASHED, Reason.SIGNALLED, 0),
        ({"signal": 9}, StateType.CRASHED, Reason.SIGNALLED, 0),
    ],
)
def test_what_becomes_of_a_run_whose_process_was_told_to_end_its_platform_decides(
    world: Any, run_id: Any, agent_id: Any, how: Any, state: StateType, reason: Reason, spent: int
) -> None:
    attempt_id = world.started(run_id, agent_id)
    _told_to_end(world, run_id, attempt_id)
    assert world.run_row(run_id).state_type == StateType.RUNNING
    assert world.attempt(attempt_id).told_to_end_at == world.time.now
    world.report(attempt_id, agent_id, observation=world.ended(**how))
    run = world.run_row(run_id)
    assert (run.state_type, run.infra_failures) == (state, spent)
    assert world.attempt(attempt_id).reason == reason
    assert world.state(run_id).state_details["reason"] == reason


def test_a_try_that_its_infrastructure_ended_is_none_of_the_flows_retries(
    world: Any, run_id: Any, agent_id: Any
) -> None:
    world.change(t.flow_run, run_id, empirical_policy={"retries": 1, "retry_delay": 0})
    for number in (1, 2):
        attempt_id = world.started(run_id, agent_id)
        world.report(attempt_id, agent_id, observation=world.ended(code=143, reason=Reason.EVICTED))
        assert world.run_row(run_id).infra_failures == number
        world.time.forward(60)
    attempt_id = world.started(run_id, agent_id)
    own = (attempt_id, keys.attempt_token(attempt_id))
    world.propose(run_id, StateType.FAILED, attempt=own)
    assert world.run_row(run_id).state_type == StateType.SCHEDULED, "its own retry was still to be had"
    world.propose(run_id, StateType.RUNNING, attempt=own)
    world.propose(run_id, StateType.FAILED, attempt=own)
    assert world.run_row(run_id).state_type == StateType.FAILED


def test_a_run_whose_process_was_told_to_end_is_crashed_if_nobody_says_why(
    world: Any, run_id: Any, agent_id: Any
) -> None:
    attempt_id = world.started(run_id, agent_id)
    _told_to_end(world, run_id, attempt_id)
    world.judge(after=LAST_WORDS_SECONDS - 1)
    assert world.run_row(run_id).state_type == StateType.RUNNING
    world.judge(after=1.1)
    assert world.run_row(run_id).state_type == StateType.CRASHED
    assert world.attempt(attempt_id).reason == Reason.SIGNALLED


def test_the_exit_of_a_run_that_is_over_only_completes_its_attempt(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id)
    own = (attempt_id, keys.attempt_token(attempt_id))
    details = StateDetails(phase=Phase.RUN, reason=Reason.USER_CODE_RAISED, hint="look")
    world.propose(run_id, StateType.FAILED, message="ValueError: no", state_details=details, attempt=own)
    world.report(attempt_id, agent_id, observation=world.ended(code=1))
    attempt = world.attempt(attempt_id)
    assert world.run_row(run_id).state_type == StateType.FAILED
    assert (attempt.phase, attempt.reason, attempt.hint) == (Phase.RUN, Reason.USER_CODE_RAISED, "look")
    assert attempt.message == "ValueError: no"
    assert attempt.exit["code"] == 1


def test_a_completed_run_leaves_an_attempt_without_reason(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id)
    world.propose(run_id, StateType.COMPLETED, attempt=(attempt_id, keys.attempt_token(attempt_id)))
    world.report(attempt_id, agent_id, observation=world.ended(code=0))
    attempt = world.attempt(attempt_id)
    assert world.run_row(run_id).state_type == StateType.COMPLETED
    assert (attempt.status, attempt.reason, attempt.message) == (AttemptStatus.ENDED, None, None)


def test_a_failed_launch_for_reasons_of_infrastructure_is_repeated_up_to_the_budget(
    world: Any, run_id: Any, agent_id: Any
) -> None:
    for number in range(1, 5):
        (claim,) = world.poll(agent_id).claims
        assert claim.attempt.number == number
        world.intend(claim.attempt.id, agent_id)
        world.report(
            claim.attempt.id, agent_id, failure=True, phase=Phase.IMAGE, reason=Reason.IMAGE_PULL_FAILED, message="504"
        )
        run = world.run_row(run_id)
        if number < 4:
            assert (run.state_type, run.state_name, run.infra_failures) == ("SCHEDULED", "AwaitingRetry", number)
            delay = (run.next_scheduled_start_time - world.time.now).total_seconds()
            assert 2 * 2 ** (number - 1) <= delay <= 2.5 * 2 ** (number - 1)
            assert world.poll().claims == []
            world.time.forward(delay)
    assert run.state_type == StateType.CRASHED
    assert world.state(run_id).state_details["reason"] == Reason.IMAGE_PULL_FAILED
    assert "504" in world.state(run_id).message


def test_a_configuration_that_cannot_work_is_not_tried_again(
    world: Any, claim: Any, run_id: Any, agent_id: Any
) -> None:
    world.report(
        claim.attempt.id,
        agent_id,
        failure=True,
        phase=Phase.RENDER,
        reason=Reason.CONFIGURATION_INVALID,
        message="no setting 'memroy'",
        hint="Did you mean 'memory'?",
    )
    state = world.state(run_id)
    assert state.type == StateType.CRASHED
    assert state.state_details["hint"] == "Did you mean 'memory'?"


def test_missing_counts_only_when_it_is_said_twice_a_second_apart(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id)
    for _ in range(3):
        world.report(attempt_id, agent_id, observation=world.seen("MISSING"))
    assert world.run_row(run_id).state_type == StateType.RUNNING
    world.time.forward(0.5)
    world.report(attempt_id, agent_id, observation=world.seen("RUNNING"))
    world.time.forward(1)
    world.report(attempt_id, agent_id, observation=world.seen("MISSING"))
    assert world.run_row(run_id).state_type == StateType.RUNNING, "it was seen in between"
    world.time.forward(1)
    world.report(attempt_id, agent_id, observation=world.seen("MISSING"))
    assert world.state(run_id).state_details["reason"] == Reason.DELETED


def test_unknown_is_a_mark_with_a_time_and_never_a_verdict(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id)
    since = world.time.now
    for _ in range(5):
        world.report(attempt_id, agent_id, observation=world.seen("UNKNOWN"))
        world.time.forward(10)
    assert world.attempt(attempt_id).unobserved_since == since
    assert world.run_row(run_id).state_type == StateType.RUNNING
    world.report(attempt_id, agent_id, observation=world.seen("RUNNING"))
    assert world.attempt(attempt_id).unobserved_since is None


def test_an_older_observation_does_not_overwrite_a_newer_one(world: Any, claim: Any, agent_id: Any) -> None:
    world.intend(claim.attempt.id, agent_id)
    old = world.seen("PENDING", waiting_for="the past")
    world.time.forward(1)
    world.report(claim.attempt.id, agent_id, observation=world.seen("PENDING", waiting_for="room"))
    world.report(claim.attempt.id, agent_id, observation=old)
    assert world.attempt(claim.attempt.id).waiting_for == "room"


def test_what_strangers_report_is_not_known(world: Any, claim: Any) -> None:
    assert not world.report(claim.attempt.id, uuid4(), observation=world.ended(code=0)).known
    assert not world.report(uuid4(), uuid4()).known
    assert world.attempt(claim.attempt.id).status == AttemptStatus.CLAIMED


def test_one_bad_report_spoils_no_other(
    world: Any, agent_id: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [world.run(), world.run()]
    first, second = (claim.attempt.id for claim in world.poll(agent_id, capacity=2).claims)
    from penstock.server.operations import apply_attempt_reports as module

    genuine = module.end_attempt

    def fails_for_the_first(tx: Any, run: Any, row: Any, *args: Any, **kwargs: Any) -> Any:
        outcome = genuine(tx, run, row, *args, **kwargs)
        if row.id == first:
            raise RuntimeError("broken")
        return outcome

    monkeypatch.setattr(module, "end_attempt", fails_for_the_first)
    reports = [
        AttemptReport(attempt_id=i, agent_id=agent_id, failure=True, reason=Reason.IMAGE_NOT_FOUND)
        for i in (first, second)
    ]
    results = world.write(apply_attempt_reports, reports)
    assert [result.status for result in results] == [None, AttemptStatus.ENDED]
    assert world.attempt(first).status == AttemptStatus.CLAIMED
    assert {world.run_row(run_id).state_type for run_id in runs} == {StateType.PENDING, StateType.CRASHED}
    assert "could not be applied" in caplog.text


def test_the_exit_of_a_fenced_attempt_is_still_written_down(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id)
    world.propose(run_id, StateType.CANCELLING)
    world.judge(after=200)
    assert world.attempt(attempt_id).status == AttemptStatus.ENDED
    result = world.report(attempt_id, agent_id, observation=world.ended(signal=15), output_tail="bye")
    assert result.known
    assert world.attempt(attempt_id).exit["signal"] == 15
    assert world.attempt(attempt_id).output_tail == "bye"
    assert world.run_row(run_id).state_type == StateType.CANCELLED


def test_output_keeps_its_end_and_loses_what_a_database_cannot_hold(world: Any, claim: Any, agent_id: Any) -> None:
    world.report(claim.attempt.id, agent_id, output_tail="a" * 70_000 + "\0end")
    kept = world.attempt(claim.attempt.id).output_tail
    assert len(kept) == 65_536
    assert kept.endswith("end")
    assert "\0" not in kept


def test_a_second_attempt_crash_closes_nothing_of_the_first(world: Any, run_id: Any, agent_id: Any) -> None:
    attempt_id = world.started(run_id, agent_id)
    world.report(attempt_id, agent_id, observation=world.ended(reason=Reason.EVICTED))
    run = world.run_row(run_id)
    assert (run.state_type, run.state_name) == ("SCHEDULED", "AwaitingRetry"), "eviction is a reason of infrastructure"
    world.time.forward((run.next_scheduled_start_time - world.time.now) / timedelta(seconds=1))
    second = world.started(run_id, agent_id)
    assert [attempt.number for attempt in world.write(read_attempts, run_id)] == [1, 2]
    assert world.write(read_attempt, second).number == 2
    with pytest.raises(Refused):
        world.present(attempt_id)


def test_reading_attempts_of_what_does_not_exist_is_an_error(world: Any) -> None:
    for operation in (read_attempt, read_attempts):
        with pytest.raises(NotFound):
            world.write(operation, uuid4())
