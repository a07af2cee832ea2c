"""Pauses of the runs of this process: asked for from inside, or from outside and noticed here.

Whoever waits for the end of a pause, the function that has paused and every task that would start, waits for one
thread that looks.
"""

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

from penstock import clock
from penstock.engine import run_inputs
from penstock.engine.context import FlowRunContext
from penstock.engine.interruption import CancelRequested, Superseded, SuspendRequested
from penstock.engine.run_logs import logger_of
from penstock.engine.session import Session
from penstock.engine.steps import Blocking, Steps
from penstock.engine.watches import LONGEST_POLL, RunWatch, Watched
from penstock.errors import FlowPauseTimeout, Refused
from penstock.model.flow_runs import FlowRun
from penstock.model.reasons import Reason
from penstock.model.states import Answer, OrchestrationResult, State, StateDetails, StateType
from penstock.model.transitions import SUSPENDED

_watches_lock = threading.Lock()


def _watch(session: Session, flow_run_id: UUID, poll_seconds: float = LONGEST_POLL) -> Watched:
    """Wait until that run is resumed, or its process is to leave: with whoever waits for the same already."""
    with _watches_lock:
        found = session.watches.get(flow_run_id)
        if found is None or found.over:
            found = RunWatch(session.ask, flow_run_id, _need_not_wait, poll_seconds=poll_seconds)
            session.watches[flow_run_id] = found
        return Watched(found, shared=True)


def _need_not_wait(run: FlowRun) -> bool:
    return run.state is None or not run.state.is_paused() or run.state.state_details.pause_reschedule


def wait_until_resumed(session: Session) -> Steps[None]:
    """The run of this process is paused, so nothing new starts: wait until it is resumed.

    Raises SuspendRequested if it is suspended, and what else stops a run.
    """
    while session.paused:
        state = (yield _watch(session, session.flow_run_id)).state
        if state is not None and state.is_paused():
            session.suspended = True
            raise SuspendRequested("the run was suspended")
        session.paused = False
        _raise_if_over(state)


def pause_steps(
    run: FlowRunContext,
    wait_for_input: Any,
    *,
    timeout: float | None,
    poll_interval: float,
    key: str | None,
    suspend: bool,
) -> Steps[Any]:
    """Pause the run from inside. Returns the input once it is resumed, or at once if it has been through this pause.

    Raises SuspendRequested when it is suspended, FlowPauseTimeout when nobody resumes it in time.
    """
    key = key or str(run.next_call("penstock.pause") + 1)
    base = f"{'suspended' if suspend else 'paused'}-{key}"
    wanted = None if wait_for_input is None else run_inputs.model_for(wait_for_input)
    keyset = None if wanted is None else run_inputs.keyset_from_base_key(base)
    if wanted is not None and keyset is not None:
        yield Blocking(lambda: run_inputs.save_question(run.session.ask, run.flow_run.id, wanted, keyset))
    proposed = paused_state(timeout, suspend, key, keyset)
    yield Blocking(run.session.reporter.flush)
    answer: OrchestrationResult = yield Blocking(lambda: run.session.propose(run.flow_run.id, proposed))
    if answer.status is Answer.ACCEPT:
        yield from _wait(run, proposed, suspend, poll_interval)
    elif answer.status is Answer.REJECT and answer.state is not None and answer.state.is_running():
        logger_of(run).debug("The run has been through pause %s before", key)
    else:
        _raise_if_over(answer.state)
        raise Refused(f"The run cannot be {base.partition('-')[0]}: {answer.details.reason}")
    if wanted is None or keyset is None:
        return None
    return (yield Blocking(lambda: run_inputs.load_response(run.session.ask, run.flow_run.id, wanted, keyset)))


def paused_state(
    timeout: float | None, suspend: bool, key: str | None = None, keyset: dict[str, str] | None = None
) -> State:
    """The state to propose: `timeout` seconds from now the run fails."""
    details = StateDetails(
        pause_timeout=None if timeout is None else clock.now() + timedelta(seconds=timeout),
        pause_reschedule=suspend,
        pause_key=key,
        run_input_keyset=keyset,
    )
    return State(type=StateType.PAUSED, name=SUSPENDED if suspend else None, state_details=details)


def _wait(run: FlowRunContext, paused: State, suspend: bool, poll_interval: float) -> Steps[None]:
    until = paused.state_details.pause_timeout
    within = "" if until is None else f" until {until:%Y-%m-%d %H:%M:%S} UTC"
    if suspend:
        logger_of(run).info(
            "Suspended: the process leaves, and the run goes on in a new one if it is resumed%s", within
        )
        run.session.suspended = True
        raise SuspendRequested("the run was suspended")
    logger_of(run).info("Paused: the run goes on if it is resumed%s", within)
    state: State | None = (yield _watch(run.session, run.flow_run.id, poll_interval)).state
    if run.parent is None:
        run.session.paused = False
    if state is not None and state.is_final():
        run.flow_run.state = state
    _raise_if_over(state)
    logger_of(run).info("Resumed")


def _raise_if_over(state: State | None) -> None:
    if state is None:
        return
    if state.state_details.reason is Reason.PAUSE_EXPIRED:
        raise FlowPauseTimeout(state.message or "Nobody resumed the run in time")
    if state.is_cancelling() or state.is_cancelled():
        raise CancelRequested("the run is being cancelled")
    if state.is_final():
        raise Superseded(f"the run is {state.name}")
