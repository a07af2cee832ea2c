"""States to return from flows and tasks: ``return Completed(message="nothing to do")``."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from penstock.engine.outcomes import judge
from penstock.model.states import State, StateDetails, StateType

__all__ = [
    "AwaitingRetry",
    "Cancelled",
    "Cancelling",
    "Completed",
    "Crashed",
    "Failed",
    "Late",
    "Pending",
    "Retrying",
    "Running",
    "Scheduled",
    "State",
    "StateType",
    "counts_message",
    "is_state",
]


def _state(kind: StateType, name: str | None, facts: dict[str, Any]) -> State:
    return State(type=kind, **{"name": name, **facts})


def Completed(**facts: Any) -> State:
    """The run did what it should. `data` is its result."""
    return _state(StateType.COMPLETED, None, facts)


def Failed(**facts: Any) -> State:
    """The run did not do what it should. `message` says why."""
    return _state(StateType.FAILED, None, facts)


def Crashed(**facts: Any) -> State:
    """Something around the run broke."""
    return _state(StateType.CRASHED, None, facts)


def Cancelled(**facts: Any) -> State:
    """Somebody stopped the run."""
    return _state(StateType.CANCELLED, None, facts)


def Cancelling(**facts: Any) -> State:
    """The run is being stopped."""
    return _state(StateType.CANCELLING, None, facts)


def Pending(**facts: Any) -> State:
    """The run is about to start."""
    return _state(StateType.PENDING, None, facts)


def Running(**facts: Any) -> State:
    """The run runs."""
    return _state(StateType.RUNNING, None, facts)


def Retrying(**facts: Any) -> State:
    """The run runs again after it failed."""
    return _state(StateType.RUNNING, "Retrying", facts)


def Scheduled(scheduled_time: datetime | None = None, **facts: Any) -> State:
    """The run will start at `scheduled_time`, by default now."""
    return _scheduled(None, scheduled_time, facts)


def Late(scheduled_time: datetime | None = None, **facts: Any) -> State:
    """The run should have started at `scheduled_time`."""
    return _scheduled("Late", scheduled_time, facts)


def AwaitingRetry(scheduled_time: datetime | None = None, **facts: Any) -> State:
    """The run failed and will be run again at `scheduled_time`."""
    return _scheduled("AwaitingRetry", scheduled_time, facts)


def _scheduled(name: str | None, scheduled_time: datetime | None, facts: dict[str, Any]) -> State:
    from penstock import clock

    details = facts.pop("state_details", None) or StateDetails()
    details = StateDetails.model_validate(details) if isinstance(details, dict) else details
    details = details.model_copy(update={"scheduled_time": scheduled_time or clock.now()})
    return _state(StateType.SCHEDULED, name, {**facts, "state_details": details})


def is_state(value: Any) -> bool:
    return isinstance(value, State)


def counts_message(states: Iterable[State]) -> str:
    """How many of `states` ended how, in a few words."""
    return judge([state.type for state in states])[1]
