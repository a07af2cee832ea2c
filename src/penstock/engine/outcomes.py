"""From what a function returned or raised to the state that its run ends in. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from penstock.model.base import new_id
from penstock.model.reasons import Phase, Reason
from penstock.model.states import State, StateDetails, StateType


class WorkerLost(Exception):
    """The process that ran a task's function elsewhere is gone, in the platform's words."""


def describe(error: BaseException) -> str:
    """Type and text of an exception, in one line where the text is one."""
    try:
        text = str(error).strip()
    except Exception as broken:  # the text of a user's exception is made by the user's code
        text = f"(its text cannot be made: {type(broken).__name__})"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def completed(value: Any, message: str | None = None) -> State:
    return State(type=StateType.COMPLETED, message=message, data=value)


def failed(error: BaseException, *, phase: Phase = Phase.RUN, reason: Reason = Reason.USER_CODE_RAISED) -> State:
    """The function raised `error`, which stays attached as the state's data."""
    hint = getattr(error, "hint", None)
    return State(
        type=StateType.FAILED,
        message=describe(error),
        data=error,
        state_details=StateDetails(phase=phase, reason=reason, hint=hint if isinstance(hint, str) else None),
    )


def timed_out(what: str, seconds: float, reason: Reason) -> State:
    """`what` ("Flow run", "Task run") took longer than it may."""
    message = f"{what} took longer than its timeout of {seconds:g} s"
    return State(
        type=StateType.FAILED,
        name="TimedOut",
        message=message,
        data=TimeoutError(message),
        state_details=StateDetails(
            phase=Phase.RUN, reason=reason, hint="Raise timeout_seconds, or find out what the code waits for."
        ),
    )


def crashed(message: str, reason: Reason, *, phase: Phase = Phase.RUN, hint: str | None = None) -> State:
    return State(
        type=StateType.CRASHED, message=message, state_details=StateDetails(phase=phase, reason=reason, hint=hint)
    )


def worker_lost(error: WorkerLost) -> State:
    state = crashed(str(error), Reason.WORKER_LOST, hint="Look at the worker's log and memory.")
    state.data = error
    return state


def cancelled(message: str | None = None) -> State:
    return State(
        type=StateType.CANCELLED, message=message, state_details=StateDetails(phase=Phase.RUN, reason=Reason.CANCELLED)
    )


def upstream_failed(name: str, ended: str) -> State:
    """A task was not run because one that it depends on did not complete."""
    return State(
        type=StateType.FAILED,
        name="UpstreamFailed",
        message=f"Not run: the upstream task run '{name}' ended {ended}",
        state_details=StateDetails(
            phase=Phase.RUN, hint="Wrap the argument in allow_failure(...) to run the task all the same."
        ),
    )


def from_return_value(value: Any) -> State:
    """The state that returning `value` means. Futures in it must have been replaced by their states before.

    A state is itself the outcome; a list, tuple or set of states is judged as a whole; all else completes the run.
    """
    if isinstance(value, State):
        return _anew(value) if value.is_final() else _not_final(value)
    if isinstance(value, list | tuple | set | frozenset) and value and all(isinstance(v, State) for v in value):
        return from_states(value if isinstance(value, list | tuple) else list(value))
    return completed(value)


def _anew(state: State) -> State:
    """The same for another run: `state` may be that of a task or subflow, or be returned by more than one run."""
    details = state.state_details
    own = StateDetails(phase=details.phase, reason=details.reason, hint=details.hint, retriable=details.retriable)
    return state.model_copy(update={"id": new_id(), "timestamp": None, "state_details": own})


def from_states(states: Sequence[State]) -> State:
    """The outcome of a run whose outcome is that of these: all completed, or how many are not."""
    kind, message = judge([s.type for s in states])
    details = StateDetails()
    if kind is StateType.FAILED:
        details = StateDetails(phase=Phase.RUN, reason=Reason.USER_CODE_RAISED)
    return State(type=kind, message=message, data=states, state_details=details)


def judge(types: Iterable[StateType]) -> tuple[StateType, str]:
    """Type and message of the state that sums up states of these types."""
    counts: dict[StateType, int] = {}
    for kind in types:
        counts[kind] = counts.get(kind, 0) + 1
    return judge_counts(counts)


def judge_counts(counts: dict[StateType, int]) -> tuple[StateType, str]:
    total = sum(counts.values())
    cancelled_ones = counts.get(StateType.CANCELLED, 0)
    failed_ones = counts.get(StateType.FAILED, 0) + counts.get(StateType.CRASHED, 0)
    done = counts.get(StateType.COMPLETED, 0)
    if cancelled_ones:
        return StateType.CANCELLED, f"{cancelled_ones}/{total} states cancelled."
    if failed_ones:
        return StateType.FAILED, f"{failed_ones}/{total} states failed."
    if done < total:
        return StateType.FAILED, f"{total - done}/{total} states are not final."
    return StateType.COMPLETED, "All states completed."


def _not_final(value: State) -> State:
    return State(
        type=StateType.FAILED,
        message=f"The function returned the state {value.name}, with which no run can end",
        state_details=StateDetails(phase=Phase.RUN, reason=Reason.USER_CODE_RAISED),
    )
