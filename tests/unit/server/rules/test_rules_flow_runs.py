"""No sequence of proposals leads a run out of the table of transitions."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model.flow_runs import FlowRunPolicy
from penstock.model.reasons import Reason
from penstock.model.states import TERMINAL, Answer, State, StateCreate, StateDetails, StateType
from penstock.model.transitions import NAMES, RERUN_NAME, is_allowed
from penstock.server.rules import verdicts
from penstock.server.rules.flow_runs import FlowRunFacts, decide

NOW = datetime(2026, 1, 1, tzinfo=UTC)
S = StateType

times = st.one_of(st.none(), st.integers(-3, 3).map(lambda s: NOW + timedelta(seconds=s)))
details = st.builds(
    StateDetails,
    scheduled_time=times,
    pause_timeout=times,
    pause_key=st.sampled_from([None, "a", "b"]),
    pause_reschedule=st.booleans(),
    retriable=st.sampled_from([None, True, False]),
    transition_id=st.sampled_from([None, UUID(int=1), UUID(int=2)]),
    reason=st.sampled_from([None, Reason.SIGNALLED, Reason.EXITED]),
)
proposals = st.sampled_from(list(S)).flatmap(
    lambda kind: st.builds(
        StateCreate,
        type=st.just(kind),
        name=st.sampled_from([None, *NAMES[kind], "Whatever"]),
        state_details=st.one_of(st.none(), details),
    )
)
facts = st.builds(
    FlowRunFacts,
    now=st.just(NOW),
    run_count=st.integers(0, 4),
    policy=st.builds(
        FlowRunPolicy, retries=st.sampled_from([None, 0, 1, 3]), pause_keys=st.sampled_from([None, [], ["a"]])
    ),
    has_job=st.booleans(),
    speaks_for_job=st.booleans(),
    nothing_runs=st.booleans(),
    can_be_launched=st.booleans(),
    is_subflow=st.booleans(),
)


def _state(proposed: StateCreate) -> State:
    return State(
        type=proposed.type, name=proposed.name, timestamp=NOW, state_details=proposed.state_details or StateDetails()
    )


def _decide(
    current: State | None, kind: S, /, force: bool = False, name: str | None = None, **known: Any
) -> verdicts.Verdict:
    return decide(current, StateCreate(type=kind, name=name), FlowRunFacts(now=NOW, **known), force=force)


@given(st.lists(st.tuples(proposals, facts), max_size=12))
def test_no_sequence_of_proposals_leaves_the_table(steps: list[tuple[StateCreate, FlowRunFacts]]) -> None:
    current: State | None = None
    for proposed, known in steps:
        verdict = decide(current, proposed, known)
        for following in verdict.write:
            before = current.type if current is not None else None
            assert is_allowed(before, following.type, following.name)
            if before in TERMINAL:
                assert (following.type, following.name) == (S.SCHEDULED, RERUN_NAME)
            current = _state(following)


@given(st.lists(st.tuples(proposals, facts), max_size=8))
def test_every_answer_says_what_it_does(steps: list[tuple[StateCreate, FlowRunFacts]]) -> None:
    current: State | None = None
    for proposed, known in steps:
        repeated = current is not None and verdicts.is_repeated(current, proposed)
        verdict = decide(current, proposed, known)
        if verdict.answer is Answer.ACCEPT:
            assert repeated or [state.type for state in verdict.write] == [proposed.type]
        else:
            assert verdict.reason
        if verdict.answer in (Answer.WAIT, Answer.ABORT):
            assert verdict.write == ()
        assert (verdict.delay_seconds is not None) == (verdict.answer is Answer.WAIT)
        for following in verdict.write:
            current = _state(following)


@given(proposals, facts)
def test_a_proposal_sent_again_writes_nothing(proposed: StateCreate, known: FlowRunFacts) -> None:
    proposed = verdicts.with_details(proposed, transition_id=uuid4())
    first = decide(None, proposed, known)
    if first.write:
        again = decide(_state(first.write[-1]), proposed, known)
        assert again.write == ()
        assert again.answer is first.answer


@given(proposals, facts)
def test_nothing_but_cancelled_follows_while_cancelling(proposed: StateCreate, known: FlowRunFacts) -> None:
    verdict = decide(State(type=S.CANCELLING), proposed, known)
    assert all(state.type is S.CANCELLED for state in verdict.write)


def test_the_budget_of_retries_is_spent_and_then_the_run_fails() -> None:
    policy = FlowRunPolicy(retries=2, retry_delay=3)
    running = State(type=S.RUNNING)
    for run_count in (1, 2):
        verdict = _decide(running, S.FAILED, policy=policy, run_count=run_count)
        assert verdict.answer is Answer.REJECT
        (retry,) = verdict.write
        assert retry.state_details is not None
        assert retry.state_details.scheduled_time == NOW + timedelta(seconds=3)
        assert verdict.policy == {"retry_type": "in_process"}
    assert _decide(running, S.FAILED, policy=policy, run_count=3).answer is Answer.ACCEPT
    assert _decide(running, S.FAILED, policy=policy, run_count=3, lost_tries=1).answer is Answer.REJECT
    assert _decide(running, S.FAILED, policy=policy, run_count=4, lost_tries=1).answer is Answer.ACCEPT


def test_a_crash_spends_no_retry_of_the_user() -> None:
    verdict = _decide(State(type=S.RUNNING), S.CRASHED, policy=FlowRunPolicy(retries=5), run_count=1)
    assert [state.type for state in verdict.write] == [S.CRASHED]


def test_a_failure_that_says_it_is_final_is_not_tried_again() -> None:
    proposed = StateCreate(type=S.FAILED, state_details=StateDetails(retriable=False))
    known = FlowRunFacts(now=NOW, policy=FlowRunPolicy(retries=5), run_count=1)
    assert decide(State(type=S.RUNNING), proposed, known).answer is Answer.ACCEPT


@pytest.mark.parametrize("before", [S.PENDING, S.RUNNING, S.PAUSED])
def test_a_run_with_a_job_is_cancelled_only_when_its_job_is_gone(before: S) -> None:
    current = State(type=before)
    by_user = _decide(current, S.CANCELLED, has_job=True, nothing_runs=False)
    assert (by_user.answer, [state.type for state in by_user.write]) == (Answer.REJECT, [S.CANCELLING])
    by_job = _decide(current, S.CANCELLED, has_job=True, nothing_runs=False, speaks_for_job=True)
    assert by_job.answer is Answer.ACCEPT


def test_a_finished_run_is_only_scheduled_again_if_somebody_would_launch_it() -> None:
    done = State(type=S.COMPLETED)
    again = _decide(done, S.SCHEDULED, name=RERUN_NAME, can_be_launched=True)
    assert again.answer is Answer.ACCEPT
    assert again.policy["retry_type"] == "reschedule"
    assert _decide(done, S.SCHEDULED, name=RERUN_NAME).answer is Answer.ABORT
    assert _decide(done, S.SCHEDULED, can_be_launched=True).answer is Answer.ABORT


def test_delays_are_whole_seconds_and_never_too_short() -> None:
    for seconds, expected in ((0.001, 1), (1, 1), (1.2, 2), (59.9, 60)):
        assert verdicts.wait("later", seconds).delay_seconds == expected


@pytest.mark.parametrize(
    ("reason", "known", "answer"),
    [
        (Reason.SIGNALLED, {"has_job": True, "speaks_for_job": True}, Answer.REJECT),
        (Reason.SIGNALLED, {"has_job": False, "speaks_for_job": False}, Answer.ACCEPT),
        (Reason.SIGNALLED, {"has_job": True, "speaks_for_job": False}, Answer.ACCEPT),
        (Reason.EXITED, {"has_job": True, "speaks_for_job": True}, Answer.ACCEPT),
    ],
)
@pytest.mark.parametrize("before", [S.PENDING, S.RUNNING, S.PAUSED])
def test_a_job_that_was_told_to_end_does_not_end_its_run(
    before: S, reason: Reason, known: dict[str, bool], answer: Answer
) -> None:
    current = State(type=before, timestamp=NOW)
    proposed = StateCreate(type=S.CRASHED, state_details=StateDetails(reason=reason))
    found = decide(current, proposed, FlowRunFacts(now=NOW, **known))
    assert (found.answer, found.last_words) == (answer, answer is Answer.REJECT)
    assert bool(found.write) is (answer is Answer.ACCEPT)
