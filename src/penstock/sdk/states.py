"""States to return from flows and tasks: ``return Completed(message="nothing to do")``; and what to ask of states."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from penstock import clock
from penstock.engine import outcomes
from penstock.model.reasons import Reason
from penstock.model.states import State, StateDetails, StateType
from penstock.model.transitions import AWAITING_SLOT, RERUN_NAME, SUSPENDED

__all__ = [
    "AwaitingConcurrencySlot",
    "AwaitingRetry",
    "Cancelled",
    "Cancelling",
    "Completed",
    "Crashed",
    "Failed",
    "Late",
    "Paused",
    "Pending",
    "Retrying",
    "Running",
    "Scheduled",
    "State",
    "StateGroup",
    "StateType",
    "Suspended",
    "exception_to_crashed_state",
    "exception_to_failed_state",
    "get_state_exception",
    "get_state_result",
    "is_state",
    "is_state_iterable",
    "raise_state_exception",
    "return_value_to_state",
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
    return _scheduled(RERUN_NAME, scheduled_time, facts)


def AwaitingConcurrencySlot(scheduled_time: datetime | None = None, **facts: Any) -> State:
    """The run waits for a slot of a limit of concurrency."""
    return _scheduled(AWAITING_SLOT, scheduled_time, facts)


def Paused(
    timeout_seconds: float | None = None,
    pause_expiration_time: datetime | None = None,
    reschedule: bool = False,
    pause_key: str | None = None,
    **facts: Any,
) -> State:
    """The run waits until it is resumed: for so many seconds, or until `pause_expiration_time`; then it fails.

    `reschedule`: its process leaves meanwhile. `pause_key` tells this pause from the others of the run.
    """
    if timeout_seconds is not None and pause_expiration_time is not None:
        raise ValueError("Give timeout_seconds or pause_expiration_time, not both: each says when the pause is over")
    if timeout_seconds is not None:
        pause_expiration_time = clock.now() + timedelta(seconds=timeout_seconds)
    details = {"pause_timeout": pause_expiration_time, "pause_reschedule": reschedule, "pause_key": pause_key}
    return _detailed(StateType.PAUSED, None, details, facts)


def Suspended(
    timeout_seconds: float | None = None,
    pause_expiration_time: datetime | None = None,
    pause_key: str | None = None,
    **facts: Any,
) -> State:
    """As `Paused`, and the run's process has left."""
    return Paused(timeout_seconds, pause_expiration_time, True, pause_key, **{"name": SUSPENDED, **facts})


def _scheduled(name: str | None, scheduled_time: datetime | None, facts: dict[str, Any]) -> State:
    return _detailed(StateType.SCHEDULED, name, {"scheduled_time": scheduled_time or clock.now()}, facts)


def _detailed(kind: StateType, name: str | None, changes: dict[str, Any], facts: dict[str, Any]) -> State:
    details = facts.pop("state_details", None) or StateDetails()
    details = StateDetails.model_validate(details) if isinstance(details, dict) else details
    return _state(kind, name, {**facts, "state_details": details.model_copy(update=changes)})


class StateGroup:
    """What there is to say of some states together."""

    def __init__(self, states: Iterable[State]) -> None:
        self.states = list(states)
        self.type_counts: dict[StateType, int] = dict.fromkeys(StateType, 0)
        for state in self.states:
            self.type_counts[state.type] += 1
        self.total_count = len(self.states)
        self.cancelled_count = self.type_counts[StateType.CANCELLED]
        self.final_count = sum(state.is_final() for state in self.states)
        self.not_final_count = self.total_count - self.final_count

    @property
    def fail_count(self) -> int:
        """How many have failed or crashed."""
        return self.type_counts[StateType.FAILED] + self.type_counts[StateType.CRASHED]

    def all_completed(self) -> bool:
        return self.type_counts[StateType.COMPLETED] == self.total_count

    def any_cancelled(self) -> bool:
        return self.cancelled_count > 0

    def any_failed(self) -> bool:
        return self.fail_count > 0

    def all_final(self) -> bool:
        return self.final_count == self.total_count

    def counts_message(self) -> str:
        """How many have ended how, in a few words."""
        return outcomes.judge(state.type for state in self.states)[1]

    def __repr__(self) -> str:
        return f"StateGroup({self.counts_message()!r})"


def is_state(value: Any) -> TypeGuard[State]:
    return isinstance(value, State)


def is_state_iterable(value: Any) -> TypeGuard[Iterable[State]]:
    """Whether `value` is a list, tuple or set of states, with at least one in it."""
    return isinstance(value, list | tuple | set | frozenset) and bool(value) and all(map(is_state, value))


def get_state_result(state: State, raise_on_failure: bool = True, fetch: bool | None = None) -> Any:
    """What the run returned. See `State.result`."""
    return state.result(raise_on_failure, fetch)


def get_state_exception(state: State) -> BaseException:
    """The exception with which the run failed, crashed or was cancelled. Raises ValueError for another state."""
    if not (state.is_failed() or state.is_crashed() or state.is_cancelled()):
        raise ValueError(f"The state is {state.name}: only failed, crashed and cancelled runs have an exception")
    error: BaseException = state.result(raise_on_failure=False)
    return error


def raise_state_exception(state: State) -> None:
    """Raise the exception with which the run failed, crashed or was cancelled; do nothing for another state."""
    if state.is_failed() or state.is_crashed() or state.is_cancelled():
        raise get_state_exception(state)


def exception_to_failed_state(exc: BaseException | None = None, **facts: Any) -> State:
    """The state of a run whose function has raised `exc`; by default the exception that is being handled.

    Raises ValueError if there is none.
    """
    if exc is None:
        import sys

        exc = sys.exc_info()[1]
        if exc is None:
            raise ValueError("There is no exception here: give one, or call this in an except block")
    return _with_facts(outcomes.failed(exc), facts)


def exception_to_crashed_state(exc: BaseException, **facts: Any) -> State:
    """The state of a run that `exc` has stopped."""
    state = outcomes.crashed(outcomes.describe(exc), Reason.UNKNOWN)
    state.data = exc
    return _with_facts(state, facts)


def return_value_to_state(retval: Any) -> State:
    """The state in which a run ends whose function returns `retval`, where futures have been replaced by their states."""
    return outcomes.from_return_value(retval)


def _with_facts(state: State, facts: dict[str, Any]) -> State:
    return state.model_copy(update=facts)
