"""One sentence on why a run is where it is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from penstock.model.attempts import Attempt, AttemptStatus
from penstock.model.flow_runs import FlowRun
from penstock.model.states import StateType

#: Seconds without a poll after which a queue counts as served by nobody.
UNATTENDED_SECONDS = 60.0
#: How many holders of slots are named.
NAMED = 3


@dataclass(frozen=True)
class Limit:
    """A concurrency limit that is used up, and the names of runs that hold its slots."""

    of: str
    limit: int
    holders: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Queue:
    """What the run's work queue and its pool say."""

    name: str
    paused: str | None = None
    last_polled: datetime | None = None
    limits: list[Limit] = field(default_factory=list)
    ahead: int = 0


def explain(
    run: FlowRun, attempt: Attempt | None, queue: Queue | None, now: datetime, slots: Sequence[str] = ()
) -> str:
    """Why `run` is in its state; `attempt` is its newest, `queue` None if it belongs to none.

    `slots`: what each of its task runs says that waits for slots of limited tags.
    """
    kind = run.state_type
    if kind is StateType.SCHEDULED:
        return _scheduled(run, attempt, queue, now)
    if kind is StateType.PENDING:
        return _pending(attempt)
    if kind is StateType.RUNNING:
        return _running(attempt) + _without_slots(slots)
    if kind is StateType.PAUSED:
        return _paused(run, now)
    if kind is StateType.CANCELLING:
        return _cancelling(attempt, now)
    if kind is StateType.COMPLETED:
        return "It completed."
    return _failed(run)


def _scheduled(run: FlowRun, attempt: Attempt | None, queue: Queue | None, now: datetime) -> str:
    due = run.next_scheduled_start_time
    if attempt is not None and attempt.status is AttemptStatus.RUNNING:
        return "Its process waits to try again by itself."
    before = ""
    if run.state is not None and run.state.message and run.state_name == "AwaitingRetry":
        before = f"{run.state.message.rstrip('.')}. "
    if due is not None and due > now:
        return f"{before}It is due at {due:%Y-%m-%d %H:%M:%S} UTC, in {seconds((due - now).total_seconds())}."
    if queue is None:
        return f"{before}It belongs to no work queue, so no agent will take it: give its deployment a work queue."
    return before + _waiting_in(queue, now)


def _waiting_in(queue: Queue, now: datetime) -> str:
    if queue.paused is not None:
        return f"{queue.paused} is paused: penstock work-queue resume '{queue.name}'."
    if queue.last_polled is None:
        return f"No agent has ever asked for work queue '{queue.name}': penstock agent start -q '{queue.name}'."
    silent = (now - queue.last_polled).total_seconds()
    if silent > UNATTENDED_SECONDS:
        since = f"{queue.last_polled:%Y-%m-%d %H:%M:%S} UTC"
        return (
            f"No agent has asked for work queue '{queue.name}' since {since}: penstock agent start -q '{queue.name}'."
        )
    for limit in queue.limits:
        held = ", ".join(limit.holders[:NAMED]) + (" …" if len(limit.holders) > NAMED else "")
        taken = len(limit.holders)
        return f"The concurrency limit of {limit.of} is used up ({taken}/{limit.limit})" + (
            f" by {held}." if held else "."
        )
    ahead = f" {queue.ahead} runs of the queue are due before it." if queue.ahead else ""
    return f"It is due and waits for a free agent of work queue '{queue.name}'.{ahead}"


def _pending(attempt: Attempt | None) -> str:
    if attempt is None or attempt.status is AttemptStatus.ENDED:
        return "It is about to be executed by the process that created it."
    agent = f"Agent '{attempt.agent_name}'" if attempt.agent_name else "An agent"
    unseen = (
        f" Nobody has seen its job since {attempt.unobserved_since:%H:%M:%S} UTC." if attempt.unobserved_since else ""
    )
    if attempt.status is AttemptStatus.CLAIMED:
        return f"{agent} has taken it and is about to launch it."
    if attempt.status is AttemptStatus.RUNNING:
        return f"Its process has started and loads the flow.{unseen}"
    waits = f" and waits for {attempt.waiting_for}" if attempt.waiting_for else ""
    said = f" The platform says: {attempt.message}" if attempt.message else ""
    return f"{agent} has launched it{waits}; its process has not reported in yet.{said}{unseen}"


def _running(attempt: Attempt | None) -> str:
    if attempt is None:
        return "It runs in the process that created it."
    where = f" on {attempt.infrastructure_type}" if attempt.infrastructure_type else ""
    if attempt.unobserved_since is not None:
        since = f"{attempt.unobserved_since:%Y-%m-%d %H:%M:%S} UTC"
        return f"It runs{where}, but nobody has been able to see its job since {since}."
    return f"It runs{where}."


def _without_slots(messages: Sequence[str]) -> str:
    if not messages:
        return ""
    number = "One of its task runs" if len(messages) == 1 else f"{len(messages)} of its task runs"
    said = ", ".join(sorted(set(messages))[:NAMED])
    return f" {number} cannot start yet: {said[:1].lower()}{said[1:]}. See: penstock concurrency-limit ls."


def _paused(run: FlowRun, now: datetime) -> str:
    details = run.state.state_details if run.state is not None else None
    suspended = details is not None and details.pause_reschedule
    what = "suspended, and its process has left," if suspended else "paused"
    wants = " with input" if details is not None and details.run_input_keyset else ""
    found = f"It is {what} until somebody resumes it{wants}: penstock flow-run resume {run.id}."
    if details is not None and details.pause_timeout is not None:
        left = max(0.0, (details.pause_timeout - now).total_seconds())
        found += f" If nobody does within {seconds(left)}, it fails."
    return found


def _cancelling(attempt: Attempt | None, now: datetime) -> str:
    if attempt is None or attempt.cancel_requested_at is None:
        return "It was asked to stop and has not answered yet."
    waited = (now - attempt.cancel_requested_at).total_seconds()
    left = max(0.0, attempt.limits.grace + attempt.limits.cancel - waited)
    return f"Its agent stops the job; if that is not confirmed within {seconds(left)}, it is cancelled by force."


def _failed(run: FlowRun) -> str:
    state = run.state
    name = run.state_name or (run.state_type.value.capitalize() if run.state_type else "over")
    if state is None:
        return f"It is {name}."
    details = state.state_details
    why = f" ({details.reason}, in phase {details.phase})" if details.reason and details.phase else ""
    message = f": {state.message.rstrip('.')}." if state.message else "."
    return f"{name}{why}{message}" + (f" {details.hint}" if details.hint else "")


def seconds(count: float) -> str:
    """A span of time as people say it."""
    if count < 120:
        return f"{count:.0f} s"
    if count < 7200:
        return f"{count / 60:.0f} min"
    return f"{count / 3600:.1f} h" if count < 172_800 else f"{count / 86_400:.0f} days"
