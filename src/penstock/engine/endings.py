"""The states of runs that were stopped before their function returned: by themselves, from outside, or with their flow."""

from penstock.engine import outcomes
from penstock.engine.interruption import CancelRequested, DeadlineReached, Interruption, SuspendRequested
from penstock.engine.session import Session
from penstock.errors import RunCrashed
from penstock.model.reasons import Reason
from penstock.model.states import State, StateType


def stopped_flow(session: Session, error: BaseException) -> State | None:
    """The state to propose for a flow run that `error` stops; None: its agent and the server know and decide."""
    if _is_cancel(session, error):
        by_itself = session.cancelled_subflows and not session.cancel_requested
        return outcomes.cancelled("Cancelled on request") if by_itself or not session.deployed else None
    if session.terminated:
        if session.is_being_cancelled():
            return None
        return outcomes.crashed("The process was told to end (SIGTERM)", Reason.SIGNALLED)
    return _crashed(session, error, "flow")


def stopped_task(session: Session, error: BaseException, stopping: str | None) -> State:
    """The state of a task run that `error` stops. `stopping`: why its flow run is being stopped, if it is."""
    if _is_cancel(session, error) or (session.terminated and session.is_being_cancelled()):
        return outcomes.cancelled("Stopped, because its flow run was cancelled")
    if isinstance(error, SuspendRequested):
        return outcomes.cancelled("Stopped, because its flow run was suspended; it is run again when that is resumed")
    if session.terminated:
        return outcomes.crashed("Stopped, because the process was told to end (SIGTERM)", Reason.SIGNALLED)
    if stopping is not None and (isinstance(error, Interruption) or _is_cancellation(error)):
        return outcomes.crashed(f"Stopped, because {stopping}", Reason.SIGNALLED)
    if isinstance(error, DeadlineReached):
        return outcomes.crashed("Stopped, because the timeout of what has called it has passed", Reason.SIGNALLED)
    return _crashed(session, error, "task")


def _crashed(session: Session, error: BaseException, what: str) -> State:
    if isinstance(error, KeyboardInterrupt) or (session.interrupted and _is_cancellation(error)):
        return outcomes.crashed("Interrupted from the keyboard", Reason.SIGNALLED)
    if isinstance(error, SystemExit):
        return outcomes.crashed(
            f"The code ended its process: sys.exit({error.code!r})",
            Reason.EXITED,
            hint=f"Return from the {what}, or raise an exception if it failed.",
        )
    if _is_cancellation(error):
        return outcomes.crashed(
            f"The {what}'s coroutine was cancelled by the program around it, or awaited something that was",
            Reason.UNKNOWN,
            hint="asyncio's timeouts, task groups and Task.cancel() do that.",
        )
    return outcomes.crashed(f"Stopped while it ran: {outcomes.describe(error)}", Reason.UNKNOWN)


def _is_cancel(session: Session, error: BaseException) -> bool:
    """Whether the run ends because somebody asked for that. Coroutines of inner runs know only that they are cancelled."""
    asked = session.cancel_requested or bool(session.cancelled_subflows)
    return isinstance(error, CancelRequested) or (asked and _is_cancellation(error))


def _is_cancellation(error: BaseException) -> bool:
    return type(error).__name__ == "CancelledError"  # importing asyncio for this would cost every program


def without_interruption(state: State, error: BaseException) -> State:
    """`state`, of a run that `error` stopped, as those see it who wait for its result.

    They get an `Exception`: what ended one task's thread, such as its sys.exit, must not end the threads of others.
    """
    if isinstance(error, Exception):
        state.data = error
    elif state.type is StateType.CRASHED:
        state.data = RunCrashed(state.message or outcomes.describe(error))
        state.data.__cause__ = error
    return state
