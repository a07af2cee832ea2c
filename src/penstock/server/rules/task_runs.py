"""Which proposed states of a task run are taken. Pure; for clients that ask for every one of them.

Penstock's own engine decides by the same table within the process and reports what happened.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from penstock.model.states import TERMINAL, State, StateCreate, StateType
from penstock.model.task_runs import TaskRunPolicy
from penstock.model.transitions import RERUN_NAME, is_allowed
from penstock.server.rules import verdicts
from penstock.server.rules.verdicts import Verdict, abort, accept, instead, reject, wait

S = StateType


@dataclass(frozen=True)
class TaskRunFacts:
    """What the rules may know beside the state.

    `flow_run_type` is the state type of its flow run, None if it has no flow run. `is_new_go`: its flow run has been started again
    since the task run last ran. `cached`: a completed state with the proposed cache key. `full_tags`: its tags whose limit
    has no slot for it; `slot_wait`: seconds after which it may ask again for one. `spread`: a random number, 0 to 1.
    """

    now: datetime
    run_count: int = 0
    policy: TaskRunPolicy = field(default_factory=TaskRunPolicy)
    flow_run_type: StateType | None = None
    is_new_go: bool = False
    cached: State | None = None
    full_tags: tuple[str, ...] = ()
    slot_wait: float = 30.0
    spread: float = 0.0


def decide(current: State | None, proposed: StateCreate, facts: TaskRunFacts, *, force: bool = False) -> Verdict:
    """The verdict on `proposed` for a task run in `current`. Whatever it writes is within the table of transitions."""
    if (unjudged := verdicts.unjudged(current, proposed, force=force)) is not None:
        return unjudged
    if current is not None and current.type in TERMINAL:
        return _finished(current, proposed, facts)
    return verdicts.within_table("task run", current, proposed, _by_proposed(current, proposed, facts))


def _by_proposed(current: State | None, proposed: StateCreate, facts: TaskRunFacts) -> Verdict:
    if proposed.type is S.PENDING and current is not None and current.state_details.scheduled_time is not None:
        return accept(verdicts.with_details(proposed, scheduled_time=current.state_details.scheduled_time))
    if proposed.type is S.RUNNING:
        return _run(current, proposed, facts)
    if proposed.type is S.FAILED and current is not None and current.type is S.RUNNING:
        return _fail(proposed, facts)
    return accept(proposed)


def _finished(current: State, proposed: StateCreate, facts: TaskRunFacts) -> Verdict:
    if is_allowed(current.type, proposed.type, proposed.name):
        return accept(proposed)
    if not facts.is_new_go or proposed.type not in (S.PENDING, S.RUNNING) or has_result(current):
        return abort(f"The task run is over: it is {current.name}")
    again = StateCreate(type=S.SCHEDULED, name=RERUN_NAME, message="The flow run is tried again")
    following = proposed.model_copy(update={"name": "Retrying"}) if proposed.type is S.RUNNING else proposed
    return accept(again, following)


def has_result(state: State) -> bool:
    """Whether the state is Completed with a result that can still be read."""
    data = state.data
    if state.type is not S.COMPLETED or data is None:
        return False
    return not (isinstance(data, dict) and data.get("type") == "unpersisted")


def _run(current: State | None, proposed: StateCreate, facts: TaskRunFacts) -> Verdict:
    if facts.flow_run_type is S.PAUSED:
        return _hold(current, proposed)
    if facts.flow_run_type is not None and facts.flow_run_type is not S.RUNNING:
        return abort(f"The flow run is {facts.flow_run_type.value}, so no task of it may start")
    seconds = verdicts.due_later(current, facts.now)
    if seconds > 0:
        return wait("The task run is scheduled for a later time", seconds)
    if facts.cached is not None:
        found = instead(proposed, S.COMPLETED, "Cached", "The result of an equal task run is still valid")
        return reject("The result was found in the cache", found.model_copy(update={"data": facts.cached.data}))
    if facts.full_tags:
        return wait(f"All slots of the tag {facts.full_tags[0]!r} are taken", facts.slot_wait)
    return accept(proposed)


def _hold(current: State | None, proposed: StateCreate) -> Verdict:
    reason = "The flow run is paused"
    before = current.type if current is not None else None
    if is_allowed(before, S.PAUSED):
        return reject(reason, instead(proposed, S.PAUSED, "Paused", reason))
    return reject(reason)


def _fail(proposed: StateCreate, facts: TaskRunFacts) -> Verdict:
    policy = facts.policy
    retries = policy.retries if policy.retries is not None else policy.max_retries
    given_up = proposed.state_details is not None and proposed.state_details.retriable is False
    if given_up or facts.run_count > retries:
        return accept(proposed)
    due = facts.now + timedelta(seconds=retry_delay(policy, facts.run_count, facts.spread))
    state = instead(proposed, S.SCHEDULED, RERUN_NAME, proposed.message, scheduled_time=due)
    return reject("The task run is tried again", state)


def retry_delay(policy: TaskRunPolicy, run_count: int, spread: float) -> float:
    """Seconds before the next try after `run_count` tries; `spread` (0 to 1) chooses within the jitter, which only adds."""
    given: Any = policy.retry_delay if policy.retry_delay is not None else policy.retry_delay_seconds
    if isinstance(given, list):
        given = given[min(max(run_count, 1), len(given)) - 1] if given else 0
    return float(given or 0) * (1 + (policy.retry_jitter_factor or 0.0) * spread)
