"""Pauses of the runs of this process: asked for from inside, or from outside and noticed here.

One thread looks at a paused run, however many wait for its being resumed: the function that has paused it, and every
task that would start.
"""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from penstock import clock
from penstock.client import flow_runs
from penstock.engine import run_inputs
from penstock.engine.context import FlowRunContext
from penstock.engine.interruption import CancelRequested, Superseded, SuspendRequested
from penstock.engine.run_logs import logger_of
from penstock.engine.session import Session
from penstock.engine.steps import Blocking, Steps
from penstock.errors import FlowPauseTimeout, Refused
from penstock.model.reasons import Reason
from penstock.model.states import Answer, OrchestrationResult, State, StateDetails, StateType
from penstock.model.transitions import SUSPENDED

#: Seconds that one request for news of a paused run waits, unless the pause says less.
POLL_SECONDS = 30.0
#: Seconds after which a waiting thread looks whether it is to stop: an exception from another thread reaches it then.
LOOK_UP_SECONDS = 0.5


class PauseWatch:
    """Asks until the run is not paused any more. `state` is what it is then; `error` is why nobody knows."""

    def __init__(self, session: Session, flow_run_id: UUID, poll_seconds: float) -> None:
        self.state: State | None = None
        self.error: BaseException | None = None
        self._session, self._flow_run_id = session, flow_run_id
        self._poll_seconds = poll_seconds
        self._changed = threading.Lock()
        self._waiting: list[Callable[[], None]] | None = []
        threading.Thread(target=self._look, name="penstock-pause", daemon=True).start()

    @property
    def over(self) -> bool:
        return self._waiting is None

    def when_over(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the pause is over, from whatever thread: at once if it is."""
        with self._changed:
            if self._waiting is not None:
                self._waiting.append(wake)
                return
        wake()

    def _look(self) -> None:
        known: UUID | None = None
        try:
            while True:
                call = flow_runs.wait_for_flow_run_change(self._flow_run_id, known, self._poll_seconds)
                found = self._session.ask(call)
                if found.state is None or not found.state.is_paused() or found.state.state_details.pause_reschedule:
                    self.state = found.state
                    return
                known = found.state_id
        except BaseException as error:
            self.error = error
        finally:
            with self._changed:
                waiting, self._waiting = self._waiting or [], None
            for wake in waiting:
                wake()


class Resumed:
    """The effect of waiting for the end of a pause."""

    __slots__ = ("watch",)

    def __init__(self, watch: PauseWatch) -> None:
        self.watch = watch

    def run(self) -> State | None:
        over = threading.Event()
        self.watch.when_over(over.set)
        while not over.wait(LOOK_UP_SECONDS):
            pass
        return self._outcome()

    async def run_async(self) -> State | None:
        import asyncio

        loop = asyncio.get_running_loop()
        over: asyncio.Event = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(over.set)

        self.watch.when_over(wake)
        await over.wait()
        return self._outcome()

    def _outcome(self) -> State | None:
        if self.watch.error is not None:
            raise self.watch.error
        return self.watch.state


_watches_lock = threading.Lock()


def _watch(session: Session, flow_run_id: UUID, poll_seconds: float = POLL_SECONDS) -> PauseWatch:
    """The watch that looks at that run: the one there is, or a new one."""
    with _watches_lock:
        found = session.watches.get(flow_run_id)
        if found is None or found.over:
            found = session.watches[flow_run_id] = PauseWatch(session, flow_run_id, poll_seconds)
        return found


def wait_until_resumed(session: Session) -> Steps[None]:
    """The run of this process is paused, so nothing new starts: wait until it is resumed.

    Raises SuspendRequested if it is suspended, and what else stops a run.
    """
    while session.paused:
        state = yield Resumed(_watch(session, session.flow_run_id))
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
        logger_of(run).info("Suspended: the process leaves, and the run goes on in a new one if it is resumed%s", within)
        run.session.suspended = True
        raise SuspendRequested("the run was suspended")
    logger_of(run).info("Paused: the run goes on if it is resumed%s", within)
    state = yield Resumed(_watch(run.session, run.flow_run.id, min(poll_interval, POLL_SECONDS)))
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
