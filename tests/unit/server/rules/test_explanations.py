"""One sentence on why a run is where it is."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from penstock.model.attempts import Attempt, AttemptStatus, Limits
from penstock.model.flow_runs import FlowRun
from penstock.model.reasons import Phase, Reason
from penstock.model.states import State, StateDetails, StateType
from penstock.server.rules.explain import explain
from penstock.server.rules.spans import seconds
from penstock.server.rules.waiting import FullLimit, Holder, Queue, Server

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def run(kind: StateType, **values: Any) -> FlowRun:
    state = State(
        type=kind,
        name=values.pop("name", None),
        message=values.pop("message", None),
        state_details=values.pop("details", StateDetails()),
    )
    values = {"next_scheduled_start_time": NOW - timedelta(seconds=1), **values}
    return FlowRun(id=uuid4(), flow_id=uuid4(), name="r", state_type=kind, state_name=state.name, state=state, **values)


def attempt(status: AttemptStatus, **values: Any) -> Attempt:
    return Attempt(id=uuid4(), flow_run_id=uuid4(), number=1, status=status, agent_name="bob", **values)


BOB = Server("bob")
ANNE = Holder("anne", "Running", NOW - timedelta(minutes=5))
LOST = Holder("lost", "Running", NOW - timedelta(minutes=5), NOW - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        (None, "no work queue"),
        (Queue("q"), "No agent has ever asked for work queue 'q': penstock agent start -q q."),
        (
            Queue("q", pool="p"),
            "No agent has ever asked for work queue 'q' of work pool 'p': penstock agent start -q q -p p.",
        ),
        (Queue("q", last_polled=NOW - timedelta(hours=2)), "since 2026-01-01 10:00:00 UTC"),
        (Queue("q", last_polled=NOW - timedelta(seconds=3)), "the next free agent of work queue 'q' takes it."),
        (Queue("q", agents=[BOB], is_paused=True), "Work queue 'q' is paused: penstock work-queue resume q."),
        (
            Queue("q", "p", is_paused=True),
            "Work queue 'q' of work pool 'p' is paused: penstock work-queue resume q -p p.",
        ),
        (Queue("q", "p", pool_is_paused=True), "Work pool 'p' is paused: penstock work-pool resume p."),
        (
            Queue("q", agents=[BOB], limits=[FullLimit("work queue 'q'", 2, 2, [ANNE, LOST], ahead=1)]),
            "The concurrency limit of work queue 'q' is used up (2/2) by anne (Running, taken 5 min ago), "
            "lost (Running, taken 5 min ago, its job unseen since 11:59:00 UTC). 1 run due before it waits for it too.",
        ),
        (
            Queue("q", agents=[BOB], limits=[FullLimit("work pool 'p'", 0)]),
            "of work pool 'p' is 0, so that nothing starts",
        ),
        (
            Queue("q", agents=[Server("bob", types=["process"])], needs="ecs-task"),
            "It needs ecs-task, which no agent of work queue 'q' can run: 'bob' can run process.",
        ),
        (
            Queue("q", agents=[Server("bob", 2, 0, 2), Server("amy", 9, 3, None, 3)], earlier=7),
            "It waits for an agent of work queue 'q' with room: 'bob' has 2 of at most 2 runs, 'amy' is starting 3 runs, "
            "and at most 3 at once. Before it come 7 runs that have been due for longer.",
        ),
        (
            Queue(
                "q",
                agents=[Server("bob", 2, 0, 2, types=["process"]), Server("amy", types=["ecs-task"])],
                needs="process",
            ),
            "'bob' has 2 of at most 2 runs.",
        ),
        (
            Queue(
                "q", agents=[BOB, Server("amy", types=["process"], away={"ecs-task": "no route."})], needs="ecs-task"
            ),
            "the next free agent of work queue 'q' takes it.",
        ),
        (
            Queue("q", agents=[Server("amy", types=["process"], away={"ecs-task": "no route."})], needs="ecs-task"),
            "It needs ecs-task, whose platform does not answer the agent that could run it: 'amy' (no route). "
            "It starts when that does.",
        ),
        (
            Queue("q", agents=[BOB], higher=1),
            "the next free agent of work queue 'q' takes it. Before it comes 1 run in queues of higher priority.",
        ),
    ],
)
def test_a_due_run_says_what_it_waits_for(queue: Queue | None, words: str) -> None:
    assert words in explain(run(StateType.SCHEDULED), None, queue, NOW)


def test_a_run_of_the_future_says_when_it_is_due() -> None:
    later = run(StateType.SCHEDULED, next_scheduled_start_time=NOW + timedelta(minutes=5))
    assert explain(later, None, None, NOW) == "It is due at 2026-01-01 12:05:00 UTC, in 5 min."


def test_a_run_that_is_tried_again_says_why() -> None:
    again = run(
        StateType.SCHEDULED,
        name="AwaitingRetry",
        message="The pull failed.",
        next_scheduled_start_time=NOW + timedelta(seconds=4),
    )
    assert explain(again, None, None, NOW).startswith("The pull failed. It is due at")


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (
            attempt(AttemptStatus.CLAIMED, unobserved_since=NOW - timedelta(minutes=1), message="connection refused"),
            "Agent 'bob' has taken it and cannot launch it yet: since 11:59:00 UTC its platform has not answered. "
            "The platform says: connection refused",
        ),
        (
            attempt(AttemptStatus.LAUNCHING, waiting_for="the image x:1"),
            "Agent 'bob' is launching it and waits for the image x:1; its process has not reported in yet.",
        ),
        (attempt(AttemptStatus.CLAIMED), "Agent 'bob' has taken it"),
        (
            attempt(AttemptStatus.LAUNCHING, waiting_for="a node", message="0/3 nodes"),
            "waits for a node; its process has not reported in yet. The platform says: 0/3 nodes",
        ),
        (
            attempt(AttemptStatus.STARTED, waiting_for="a node", claimed_at=NOW, limits=Limits(start=600)),
            "has launched it and waits for a node, until 12:10:00 UTC at most; its process",
        ),
        (attempt(AttemptStatus.RUNNING), "loads the flow"),
        (attempt(AttemptStatus.STARTED, unobserved_since=NOW), "Nobody has seen its job since 12:00:00 UTC"),
    ],
)
def test_a_pending_run_says_how_far_its_launch_is(job: Attempt, words: str) -> None:
    assert words in explain(run(StateType.PENDING), job, None, NOW)


def test_a_failed_run_says_reason_phase_message_and_what_to_do() -> None:
    details = StateDetails(phase=Phase.RUN, reason=Reason.SIGNALLED, hint="Find who sent it.")
    crashed = run(StateType.CRASHED, message="Killed by SIGKILL.", details=details)
    expected = "Crashed (Signalled, in phase run): Killed by SIGKILL. Find who sent it."
    assert explain(crashed, None, None, NOW) == expected


def test_a_cancelling_run_says_how_long_it_may_still_take() -> None:
    job = attempt(AttemptStatus.RUNNING, cancel_requested_at=NOW - timedelta(seconds=30))
    assert "within 60 s" in explain(run(StateType.CANCELLING), job, None, NOW)
    assert "has not answered" in explain(run(StateType.CANCELLING), None, None, NOW)


def test_a_run_whose_process_was_told_to_end_says_so() -> None:
    job = attempt(AttemptStatus.RUNNING, infrastructure_type="kubernetes-job", told_to_end_at=NOW)
    expected = "Its process on kubernetes-job was told to end by a signal; its agent is about to say why."
    assert explain(run(StateType.RUNNING), job, None, NOW) == expected


@pytest.mark.parametrize("kind", list(StateType))
def test_every_state_has_a_sentence(kind: StateType) -> None:
    sentence = explain(run(kind), None, None, NOW)
    assert sentence.endswith(".")


@pytest.mark.parametrize(("count", "words"), [(5, "5 s"), (600, "10 min"), (9000, "2.5 h"), (864_000, "10 days")])
def test_spans_of_time_are_told_as_people_say_them(count: float, words: str) -> None:
    assert seconds(count) == words
