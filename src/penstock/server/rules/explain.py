"""One sentence on why a run is where it is. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from penstock.model.attempts import Attempt, AttemptStatus
from penstock.model.flow_runs import FlowRun
from penstock.model.states import StateType
from penstock.server.rules.spans import seconds
from penstock.server.rules.waiting import Queue, why_waiting

#: How many messages of task runs are quoted.
NAMED = 3


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
    return before + why_waiting(queue, now)


def _pending(attempt: Attempt | None) -> str:
    if attempt is None or attempt.status is AttemptStatus.ENDED:
        return "It is about to be executed by the process that created it."
    agent = f"Agent '{attempt.agent_name}'" if attempt.agent_name else "An agent"
    unseen = (
        f" Nobody has seen its job since {attempt.unobserved_since:%H:%M:%S} UTC." if attempt.unobserved_since else ""
    )
    said = f" The platform says: {attempt.message}" if attempt.message else ""
    if attempt.status is AttemptStatus.CLAIMED:
        if attempt.unobserved_since is None:
            return f"{agent} has taken it and is about to launch it."
        since = f"{attempt.unobserved_since:%H:%M:%S} UTC"
        return f"{agent} has taken it and cannot launch it yet: since {since} its platform has not answered.{said}"
    if attempt.status is AttemptStatus.RUNNING:
        return f"Its process has started and loads the flow.{unseen}"
    waits = f" and waits for {attempt.waiting_for}{_until(attempt)}" if attempt.waiting_for else ""
    does = "is launching" if attempt.status is AttemptStatus.LAUNCHING else "has launched"
    return f"{agent} {does} it{waits}; its process has not reported in yet.{said}{unseen}"


def _until(attempt: Attempt) -> str:
    """When its start limit is over. Of one that was taken early it is over some seconds later."""
    if attempt.claimed_at is None or attempt.limits.start is None:
        return ""
    return f", until {attempt.claimed_at + timedelta(seconds=attempt.limits.start):%H:%M:%S} UTC at most"


def _running(attempt: Attempt | None) -> str:
    if attempt is None:
        return "It runs in the process that created it."
    where = f" on {attempt.infrastructure_type}" if attempt.infrastructure_type else ""
    if attempt.told_to_end_at is not None:
        return f"Its process{where} was told to end by a signal; its agent is about to say why."
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
