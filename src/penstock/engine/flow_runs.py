"""One flow run, from its first proposal to its final state. Transitions are put to the server, whose answer counts."""

import logging
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock import clock, settings
from penstock.client import flow_runs
from penstock.engine import hooks, inputs, keeping, memory, names, outcomes, wire
from penstock.engine.context import FLOW_RUN, TASK_RUN, FlowRunContext, Tally, entered
from penstock.engine.deadlines import LEFT_BEHIND
from penstock.engine.endings import stopped_flow
from penstock.engine.interruption import (
    CancelRequested,
    DeadlineReached,
    Interruption,
    Superseded,
    SuspendRequested,
    TerminationSignal,
)
from penstock.engine.prints import printing_as_logs
from penstock.engine.protocols import FlowLike
from penstock.engine.run_logs import logger_of, print_line, title_of
from penstock.engine.session import LAST_WORDS, Session
from penstock.engine.steps import Blocking, Invoke, Sleep, Steps, Timeout, Until, WaitFor
from penstock.engine.tracebacks import log_raised
from penstock.errors import APIError, ConfigurationError, PenstockError, Refused
from penstock.model.flow_runs import FlowRunUpdate
from penstock.model.reasons import Phase, Reason
from penstock.model.states import Answer, OrchestrationResult, State, StateType

if TYPE_CHECKING:
    import asyncio

#: Seconds between two looks at a run that may not start now, when the server does not say for how long.
LOOK_AGAIN = 5.0
#: Seconds that submitted tasks have to end when their flow run is stopped or has timed out.
CHILDREN_SECONDS = 5.0

Call = tuple[tuple[Any, ...], dict[str, Any]]


def flow_run_steps(run: FlowRunContext, call: Call) -> Steps[State]:
    """Run the flow with the arguments `call` until the server has its final state. Returns that, with the result.

    What the user's code raises ends up in the state. What stops the whole run (Interruption, KeyboardInterrupt,
    SystemExit, a cancelled coroutine, a fault of the engine itself) is told to the server as well as there is time for,
    and raised.
    """
    try:
        over = (yield from _name(run)) or (yield from _enter_running(run))
        began = over is None
        while over is None:
            if run.flow.on_running and run.flow_run.state is not None:
                yield from hooks.after_flow_run(run, run.flow_run.state)
            state = yield from _one_try(run, call)
            over = yield from _conclude(run, state)
    except (PenstockError, GeneratorExit, Superseded):
        raise
    except SuspendRequested:
        yield from _suspended(run)
        raise
    except BaseException as error:
        yield from _stopped(run, error)
        raise
    finally:
        run.stop_runner()
    if began:
        yield from hooks.after_flow_run(run, over)
    return over


def _name(run: FlowRunContext) -> Steps[State | None]:
    """Let the flow's function name the run, if it has one. Returns the state of a run that ends because it cannot."""
    if not callable(run.flow.flow_run_name) or run.flow_run.run_count:
        return None
    try:
        with entered(FLOW_RUN, run), entered(TASK_RUN, None):
            name = names.from_template(run.flow.flow_run_name, run.parameters, "flow_run_name")
    except ConfigurationError as error:
        state = outcomes.failed(error, phase=Phase.PARAMETERS, reason=Reason.CONFIGURATION_INVALID)
        state.state_details.retriable = False
        return (yield from _conclude(run, state))
    update = FlowRunUpdate(name=name)
    yield Blocking(lambda: run.session.ask(flow_runs.update_flow_run(run.flow_run.id, update)))
    run.flow_run.name = name
    return None


def _enter_running(run: FlowRunContext) -> Steps[State | None]:
    """Propose Running until it is accepted: None. Or the state in which the server says that the run is over."""
    while True:
        resuming = run.flow_run.empirical_policy.resuming
        again = run.flow_run.run_count > 0 and not resuming
        proposed = State(type=StateType.RUNNING, name="Retrying" if again else None)
        answer = yield Blocking(lambda: run.session.propose(run.flow_run.id, proposed))  # noqa: B023 - called at once
        if _accepted(answer, proposed):
            run.flow_run.empirical_policy.resuming = False
            run.flow_run.run_count += 0 if resuming else 1
            _entered(run, proposed)
            return None
        over = yield from _wait_or_stop(run, answer)
        if over is not None:
            return over


def _entered(run: FlowRunContext, state: State) -> None:
    run.flow_run.state, run.flow_run.state_type, run.flow_run.state_name = state, state.type, state.name


def _wait_or_stop(run: FlowRunContext, answer: OrchestrationResult) -> Steps[State | None]:
    """The server does not let the run go on now. Waits as long as it says; returns the state of a run that is over."""
    state = answer.state
    if answer.status is Answer.WAIT:
        yield Sleep(answer.details.delay_seconds or LOOK_AGAIN)
        return None
    if answer.status is Answer.ABORT or state is None:
        raise Refused(f"The server refused to let the run go on: {answer.details.reason}")
    if state.is_cancelling():
        raise CancelRequested("the run is being cancelled")
    if state.is_final():
        return state
    if state.is_scheduled():
        yield from _sleep_until(state.state_details.scheduled_time)
    else:
        yield Sleep(LOOK_AGAIN)
    return None


def _sleep_until(when: datetime | None) -> Steps[None]:
    if when is not None:
        seconds = (when.astimezone(UTC) - clock.now()).total_seconds()
        if seconds > 0:
            yield Sleep(seconds)


def _accepted(answer: OrchestrationResult, proposed: State) -> bool:
    # An answer that was lost on its way and asked for again is told as a state that is already there: this very one.
    return answer.status is Answer.ACCEPT or (answer.state is not None and answer.state.id == proposed.id)


def _one_try(run: FlowRunContext, call: Call) -> Steps[State]:
    """Run the function, and all that it has submitted, to the end."""
    run.begin_try()
    with ExitStack() as stack:
        stack.enter_context(entered(FLOW_RUN, run))
        stack.enter_context(entered(TASK_RUN, None))
        if run.log_prints:
            stack.enter_context(printing_as_logs())
        try:
            with run.session.code_of(run.flow_run.id, _coroutine(run)):
                value, state = yield from _user_code(run, call)
                if state is not None and state.name == "TimedOut":
                    yield from _stop_children(run, "its flow run timed out", DeadlineReached)
                yield Until(run.tally.when_done)
        except GeneratorExit:
            raise
        except SuspendRequested:
            # what runs is let finish, so that it need not be done again; what has not begun does not begin
            run.session.paused = True
            yield Until(run.tally.when_done)
            raise
        except BaseException as error:
            yield from _stop_children(run, f"its flow run was stopped: {outcomes.describe(error)}", type(error))
            raise
        if state is None:
            state = _returned(run, value)
        if run.parent is None:
            _tell_of_killed(run, state)
        return (yield from keeping.keep_flows(run, state)) if run.results.persists else state


def _tell_of_killed(run: FlowRunContext, state: State) -> None:
    """A child process that the kernel has killed for lack of memory is seen by nobody else; see `engine.memory`."""
    now = memory.killed()
    told = now.since(run.session.killed_before)
    run.session.killed_before = now
    if told is not None:
        logger_of(run).warning("%s", told)
        if state.type is StateType.FAILED and state.state_details.hint is None:
            state.state_details.hint = f"{told}. Give the job more memory, or let it hold less at once."


def _coroutine(run: FlowRunContext) -> "asyncio.Task[Any] | None":
    """The asyncio task that runs the flow; None if it runs as, or below, synchronous code."""
    if not run.isasync or (run.parent is not None and not run.parent.isasync):
        return None
    import asyncio

    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _user_code(run: FlowRunContext, call: Call) -> Steps[tuple[Any, State | None]]:
    """The function's return value, the futures in it having ended; or the state that it ended in by itself."""
    flow = run.flow
    if run.results.persists:
        nowhere = yield from keeping.prepare(run.results, run)
        if nowhere is not None:
            return None, nowhere
    try:
        value = yield Invoke(flow.fn, *call, isasync=flow.isasync, timeout=flow.timeout_seconds)
    except Timeout as over:
        if over.left_behind:
            logger_of(run).warning("%s", LEFT_BEHIND)
        return None, outcomes.timed_out("Flow run", flow.timeout_seconds or 0, Reason.FLOW_TIMED_OUT)
    except Exception as error:
        log_raised(logger_of(run), "The flow raised an exception", error, to_caller=run.session.raises)
        return None, outcomes.failed(error)
    yield WaitFor([future for future in inputs.futures_in(value) if not future.done])
    return value, None


def _returned(run: FlowRunContext, value: Any) -> State:
    """The outcome of a flow that returned `value`: None stands for all that ran inside of it."""
    if value is not None:
        return outcomes.from_return_value(inputs.to_states(value))
    if not run.tally.counts:
        return outcomes.completed(None)
    kind, message = outcomes.judge_counts(run.tally.counts)
    state = State(type=kind, message=message)
    if run.tally.first_failure is not None:
        state.data = [run.tally.first_failure]
        state.state_details.phase, state.state_details.reason = Phase.RUN, _reason_of(kind)
    return state


def _reason_of(kind: StateType) -> Reason:
    return Reason.CANCELLED if kind is StateType.CANCELLED else Reason.USER_CODE_RAISED


def _stop_children(run: FlowRunContext, why: str, exception: type[BaseException]) -> Steps[None]:
    """Stop what was submitted; what does not stop in time is given up and reported so."""
    raised = exception if issubclass(exception, Interruption) else TerminationSignal
    run.stop_children(why, raised)
    if not (yield Until(run.tally.when_done, timeout=CHILDREN_SECONDS)):
        for record in list(run.open_runs.values()):
            record.abandon(why.replace("its flow run", "the flow run"))
        run.tally = Tally()


def _conclude(run: FlowRunContext, state: State) -> Steps[State | None]:
    """Propose the final state. Returns the state that the server has then, or None if the flow is to be run again."""
    if run.flow_run.state is not None and run.flow_run.state.is_final():
        return _ended_by_server(run, state, run.flow_run.state)
    may_retry = state.type is StateType.FAILED and run.flow_run.run_count <= retries_of(run.flow)
    if not may_retry:
        _log_end(run, state)
    yield Blocking(run.session.reporter.flush)
    while True:
        answer: OrchestrationResult = yield Blocking(lambda: run.session.propose(run.flow_run.id, state))
        if _accepted(answer, state):
            if may_retry:
                _log_end(run, state)
            _entered(run, state)
            return state
        if answer.status is Answer.WAIT:
            yield Sleep(answer.details.delay_seconds or LOOK_AGAIN)
        elif answer.state is not None and answer.state.is_scheduled():
            when = answer.state.state_details.scheduled_time
            logger_of(run).warning("%s. Try %d, the next one at %s", state.message, run.flow_run.run_count, when)
            yield from _sleep_until(when)
            return (yield from _enter_running(run))
        elif answer.state is not None and answer.state.is_cancelling():
            if run.parent is not None:
                run.session.cancelled_subflows.add(run.flow_run.id)
            raise CancelRequested("the run is being cancelled")
        else:
            return _overruled(run, state, answer)


def _ended_by_server(run: FlowRunContext, state: State, found: State) -> State:
    """The server has ended the run while the function waited; what the function made of that changes nothing."""
    if state.type is found.type:
        found.data = state.data
    _log_end(run, found)
    return found


def _overruled(run: FlowRunContext, state: State, answer: OrchestrationResult) -> State:
    """The server has another final state, or none; it was told why before, so only who looks on is told here."""
    found = answer.state if answer.state is not None and answer.state.is_final() else state
    print_line(
        "WARNING",
        title_of(run),
        f"The server did not take the state {state.name}: {answer.details.reason}. The run is {found.name}.",
    )
    return found


def _log_end(run: FlowRunContext, state: State) -> None:
    logger = logger_of(run)
    level = logging.INFO if state.is_completed() else logging.ERROR
    text = f"{state.name}: {state.message}" if state.message else str(state.name)
    logger.log(level, "Finished in state %s", text)


def _suspended(run: FlowRunContext) -> Steps[None]:
    """The process leaves. The server knows that of the outermost run; a subflow run is over, and made anew later."""
    if run.parent is not None:
        state = outcomes.cancelled("Its parent run was suspended; it is run again when that is resumed")
        yield Blocking(lambda: tell_last(run.session, run.flow_run.id, state))


def _stopped(run: FlowRunContext, error: BaseException) -> Steps[None]:
    """The run is stopped, by itself or from outside: tell the server, if that is for us, and call the flow's hooks.

    In the little time there is.
    """
    until = clock.monotonic() + LAST_WORDS
    state = yield Blocking(lambda: stopped_flow(run.session, error))
    if state is not None and run.parent is None and run.session.deployed and run.session.terminated:
        logger_of(run).error("%s. What becomes of the run, its agent says when it knows why", state.message)
    elif state is not None:
        _log_end(run, state)
    yield Blocking(lambda: tell_last(run.session, run.flow_run.id, state))
    if run.session.superseded is None:
        ended = state or State(type=StateType.CANCELLING)
        yield from hooks.after_flow_run(run, ended, seconds=max(until - clock.monotonic(), 1.0))


def tell_last(session: Session, flow_run_id: UUID, state: State | None) -> None:
    """Send what was reported, and propose the final state `state` if there is one; both for a few seconds at most."""
    if session.superseded is not None:
        return
    session.reporter.flush(LAST_WORDS / 2)
    if state is None:
        return
    call = flow_runs.set_flow_run_state(flow_run_id, wire.proposal(state))
    try:
        session.client.send(call, deadline=clock.monotonic() + LAST_WORDS)
    except APIError as problem:
        print(f"penstock: the server could not be told that the run is {state.name}: {problem}", file=sys.stderr)


def retries_of(flow: FlowLike) -> int:
    return int(settings.get("PENSTOCK_FLOW_DEFAULT_RETRIES")) if flow.retries is None else flow.retries
