"""Which proposed states of a flow run are taken. Pure: all that must be known comes in as facts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from penstock.model.flow_runs import FlowRunPolicy
from penstock.model.reasons import Phase, Reason
from penstock.model.states import TERMINAL, State, StateCreate, StateType
from penstock.model.transitions import RERUN_NAME, SUSPENDED
from penstock.server.rules import verdicts
from penstock.server.rules.reasons import hint
from penstock.server.rules.verdicts import Verdict, abort, accept, instead, note, reject, wait

S = StateType

#: What belongs to the state of a run that failed because nobody resumed it.
EXPIRED: dict[str, Any] = {
    "phase": Phase.RUN,
    "reason": Reason.PAUSE_EXPIRED,
    "hint": hint(Reason.PAUSE_EXPIRED),
}


@dataclass(frozen=True)
class FlowRunFacts:
    """What the rules may know of a run beside its state.

    `has_job`: an open attempt of it may exist on a platform. `speaks_for_job`: the proposal comes from that very job.
    `nothing_runs`: a cancelled run need not be waited for. `can_be_launched`: it has a deployment and a queue to wait in.
    `lost_tries`: of `run_count`, those that the infrastructure has ended; they are none of the user's.
    """

    now: datetime
    run_count: int = 0
    lost_tries: int = 0
    policy: FlowRunPolicy = field(default_factory=FlowRunPolicy)
    has_job: bool = False
    speaks_for_job: bool = False
    nothing_runs: bool = True
    can_be_launched: bool = False
    is_subflow: bool = False


def decide(current: State | None, proposed: StateCreate, facts: FlowRunFacts, *, force: bool = False) -> Verdict:
    """The verdict on `proposed` for a run in `current`. Whatever it writes is within the table of transitions.

    With `force` no rule is asked, and the table is not either: somebody overrules the system and knows it.
    """
    if (unjudged := verdicts.unjudged(current, proposed, force=force)) is not None:
        return unjudged
    if current is not None and current.type in TERMINAL:
        return _finished(current, proposed, facts)
    if current is not None and current.type is S.CANCELLING and proposed.type is not S.CANCELLED:
        return reject("The run is being cancelled: only Cancelled may follow")
    if _are_last_words(proposed, facts):
        return note("Why the run's process was told to end, its platform says")
    return verdicts.within_table("run", current, proposed, _by_proposed(current, proposed, facts))


def _are_last_words(proposed: StateCreate, facts: FlowRunFacts) -> bool:
    """Whether the run's own job says that it was told to end. Only its platform knows whether that is the run's end:
    a run whose node is taken away, say, is launched again."""
    details = proposed.state_details
    told = proposed.type is S.CRASHED and details is not None and details.reason is Reason.SIGNALLED
    return told and facts.has_job and facts.speaks_for_job


def _by_proposed(current: State | None, proposed: StateCreate, facts: FlowRunFacts) -> Verdict:
    match proposed.type:
        case S.CANCELLING:
            return _cancel(proposed, facts)
        case S.CANCELLED:
            return _cancelled(current, proposed, facts)
        case S.PAUSED:
            return _pause(current, proposed, facts)
        case _ if current is not None and current.type is S.PAUSED:
            return _leave_pause(current, proposed, facts)
        case S.PENDING:
            return _launch(current, proposed)
        case S.RUNNING:
            return _run(current, proposed, facts)
        case S.FAILED:
            return _fail(current, proposed, facts)
        case _:
            return accept(proposed)


def _finished(current: State, proposed: StateCreate, facts: FlowRunFacts) -> Verdict:
    if proposed.type is not S.SCHEDULED or proposed.name != RERUN_NAME:
        return abort(f"The run is over: it is {current.name}")
    if not facts.can_be_launched:
        return abort("The run has no deployment, so nobody would launch it again")
    return accept(proposed, retry_type="reschedule", resuming=False, pause_keys=[])


def _launch(current: State | None, proposed: StateCreate) -> Verdict:
    if current is not None and current.type is S.PENDING:
        return abort("Somebody else is launching the run already: it is Pending")
    if current is not None and current.state_details.scheduled_time is not None:
        return accept(verdicts.with_details(proposed, scheduled_time=current.state_details.scheduled_time))
    return accept(proposed)


def _run(current: State | None, proposed: StateCreate, facts: FlowRunFacts) -> Verdict:
    seconds = verdicts.due_later(current, facts.now)
    if seconds > 0:
        return wait("The run is scheduled for a later time", seconds)
    # a run that was suspended goes on: that is not another try of it
    return accept(proposed, resuming=False) if facts.policy.resuming else accept(proposed)


def _cancel(proposed: StateCreate, facts: FlowRunFacts) -> Verdict:
    if facts.nothing_runs:
        message = proposed.message or "Cancelled before anything was running"
        return reject(
            "Nothing of the run is running, so it is Cancelled", instead(proposed, S.CANCELLED, "Cancelled", message)
        )
    return accept(proposed)


def _cancelled(current: State | None, proposed: StateCreate, facts: FlowRunFacts) -> Verdict:
    """A run whose job may be alive is Cancelled when that job is gone, whoever says so before."""
    if current is not None and facts.has_job and not facts.speaks_for_job and not facts.nothing_runs:
        if current.type is S.CANCELLING:
            return reject("The run's job is not confirmed gone yet")
        following = instead(proposed, S.CANCELLING, "Cancelling", proposed.message)
        return reject("The run has a job that has to be stopped first", following)
    return accept(proposed)


def _pause(current: State | None, proposed: StateCreate, facts: FlowRunFacts) -> Verdict:
    if current is None or current.type is not S.RUNNING:
        return reject("Only a running run can be paused")
    details = proposed.state_details
    key = details.pause_key if details is not None else None
    used = facts.policy.pause_keys or []
    if key is not None and key in used:
        return reject("The run has been through this pause already")
    if details is not None and details.pause_reschedule:
        if facts.is_subflow:
            return abort("A subflow run shares its parent's process, so it cannot be suspended by itself")
        if not facts.can_be_launched:
            return abort("The run has no deployment, so nobody would launch it again after being suspended")
        if proposed.name in (None, "Paused"):
            proposed = proposed.model_copy(update={"name": SUSPENDED})
    return accept(proposed, pause_keys=[*used, key]) if key is not None else accept(proposed)


def _leave_pause(current: State, proposed: StateCreate, facts: FlowRunFacts) -> Verdict:
    if proposed.type not in (S.RUNNING, S.SCHEDULED):
        return accept(proposed) if proposed.type in TERMINAL else reject("The run is paused: resume it first")
    if is_expired(current, facts.now):
        message = expiry(current)
        return reject(message, instead(proposed, S.FAILED, "Failed", message, **EXPIRED))
    return accept(proposed, resuming=True) if proposed.type is S.SCHEDULED else accept(proposed)


def is_expired(paused: State, now: datetime) -> bool:
    """Whether nobody resumed the run while it could be."""
    timeout = paused.state_details.pause_timeout
    return timeout is not None and timeout <= now


def expiry(paused: State) -> str:
    """The message of a run that failed because nobody resumed it in time."""
    until = paused.state_details.pause_timeout
    assert until is not None
    done = "suspended" if paused.state_details.pause_reschedule else "paused"
    return f"The run was {done}, and nobody resumed it until {until:%Y-%m-%d %H:%M:%S} UTC"


def _fail(current: State | None, proposed: StateCreate, facts: FlowRunFacts) -> Verdict:
    retries = facts.policy.retries if facts.policy.retries is not None else facts.policy.max_retries
    given_up = proposed.state_details is not None and proposed.state_details.retriable is False
    spent = facts.run_count - facts.lost_tries
    if current is None or current.type is not S.RUNNING or given_up or spent > retries:
        return accept(proposed)
    delay = facts.policy.retry_delay if facts.policy.retry_delay is not None else facts.policy.retry_delay_seconds
    due = facts.now + timedelta(seconds=delay or 0)
    state = instead(proposed, S.SCHEDULED, RERUN_NAME, proposed.message, scheduled_time=due)
    return reject("The run is tried again", state, retry_type="in_process")
