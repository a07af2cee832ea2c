from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from penstock.model.states import TERMINAL, Answer, State, StateCreate, StateDetails, StateType
from penstock.model.task_runs import TaskRunPolicy
from penstock.model.transitions import NAMES, RERUN_NAME, is_allowed
from penstock.server.rules.task_runs import TaskRunFacts, decide, retry_delay

NOW = datetime(2026, 1, 1, tzinfo=UTC)
S = StateType

proposals = st.sampled_from(list(S)).flatmap(
    lambda kind: st.builds(
        StateCreate,
        type=st.just(kind),
        name=st.sampled_from([None, *NAMES[kind], "Whatever"]),
        data=st.sampled_from([None, {"type": "unpersisted"}, {"type": "reference"}]),
        state_details=st.one_of(
            st.none(),
            st.builds(
                StateDetails,
                scheduled_time=st.integers(-2, 2).map(lambda s: NOW + timedelta(seconds=s)),
                retriable=st.sampled_from([None, False]),
            ),
        ),
    )
)
facts = st.builds(
    TaskRunFacts,
    now=st.just(NOW),
    run_count=st.integers(0, 4),
    policy=st.builds(
        TaskRunPolicy, retries=st.sampled_from([None, 0, 2]), retry_delay=st.sampled_from([None, 1, [1, 2], []])
    ),
    flow_run_type=st.sampled_from([None, *S]),
    is_new_go=st.booleans(),
    cached=st.sampled_from([None, State(type=S.COMPLETED, data={"x": 1})]),
    spread=st.floats(0, 1),
)


@given(st.lists(st.tuples(proposals, facts), max_size=12))
def test_no_sequence_of_proposals_leaves_the_table(steps: list[tuple[StateCreate, TaskRunFacts]]) -> None:
    current: State | None = None
    for proposed, known in steps:
        for following in decide(current, proposed, known).write:
            before = current.type if current is not None else None
            assert is_allowed(before, following.type, following.name)
            if before in TERMINAL:
                assert (following.type, following.name) == (S.SCHEDULED, RERUN_NAME)
            current = State(
                type=following.type,
                name=following.name,
                data=following.data,
                state_details=following.state_details or StateDetails(),
            )


def test_a_task_run_that_is_being_cancelled_is_not_completed_from_the_cache() -> None:
    known = TaskRunFacts(now=NOW, flow_run_type=S.RUNNING, cached=State(type=S.COMPLETED, data={"x": 1}))
    verdict = decide(State(type=S.CANCELLING), StateCreate(type=S.RUNNING), known)
    assert (verdict.answer, verdict.write) == (Answer.ABORT, ())


@given(proposals, facts)
def test_no_task_starts_in_a_flow_run_that_does_not_run(proposed: StateCreate, known: TaskRunFacts) -> None:
    verdict = decide(State(type=S.PENDING), proposed, known)
    if any(state.type is S.RUNNING for state in verdict.write):
        assert known.flow_run_type in (None, S.RUNNING)


def test_each_retry_has_its_delay_and_the_last_one_is_repeated() -> None:
    policy = TaskRunPolicy(retries=5, retry_delay=[1, 10, 100])
    assert [retry_delay(policy, count, 0) for count in (1, 2, 3, 4)] == [1, 10, 100, 100]


@given(st.floats(0, 1))
def test_jitter_only_adds(spread: float) -> None:
    policy = TaskRunPolicy(retries=1, retry_delay=10, retry_jitter_factor=0.5)
    assert 10 <= retry_delay(policy, 1, spread) <= 15


def test_a_task_run_of_an_earlier_go_starts_afresh_by_way_of_the_table() -> None:
    known = TaskRunFacts(now=NOW, flow_run_type=S.RUNNING, is_new_go=True)
    verdict = decide(State(type=S.FAILED), StateCreate(type=S.RUNNING), known)
    assert verdict.answer is Answer.ACCEPT
    assert [(state.type, state.name) for state in verdict.write] == [(S.SCHEDULED, RERUN_NAME), (S.RUNNING, "Retrying")]
