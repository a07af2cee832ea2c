"""Pausing, suspending and resuming runs: this one from inside, or another one."""

from collections.abc import Callable
from typing import Any, TypeVar, overload
from uuid import UUID

from penstock.client import flow_runs, get_sync_client
from penstock.engine import wire
from penstock.engine.context import FLOW_RUN, TASK_RUN, FlowRunContext
from penstock.engine.dispatch import carry_out
from penstock.engine.pauses import pause_steps, paused_state
from penstock.engine.steps import Blocking, Steps
from penstock.engine.watches import Ask
from penstock.errors import (
    ConfigurationError,
    FlowPauseTimeout,
    MissingContext,
    NotPausedError,
    ParameterError,
    Refused,
)
from penstock.model.states import Answer, OrchestrationResult

T = TypeVar("T")


@overload
def pause_flow_run(
    wait_for_input: None = None,
    flow_run_id: UUID | str | None = None,
    timeout: float | None = 3600,
    poll_interval: float = 10,
    reschedule: bool = False,
    key: str | None = None,
) -> None: ...


@overload
def pause_flow_run(
    wait_for_input: type[T],
    flow_run_id: UUID | str | None = None,
    timeout: float | None = 3600,
    poll_interval: float = 10,
    reschedule: bool = False,
    key: str | None = None,
) -> T: ...


def pause_flow_run(
    wait_for_input: Any = None,
    flow_run_id: UUID | str | None = None,
    timeout: float | None = 3600,
    poll_interval: float = 10,
    reschedule: bool = False,
    key: str | None = None,
) -> Any:
    """Pause the run around the calling code until somebody resumes it. To be awaited in an asynchronous flow.

    The process waits; tasks that run go on, and no new one starts. `wait_for_input`: a `RunInput` class, or any type
    such as ``str``; whoever resumes the run gives such an input, which is returned. `timeout`: seconds after which the
    run fails, None waits for ever. `poll_interval`: most seconds between two questions to the server, which answers at
    once when the run is resumed. `reschedule`: as `suspend_flow_run`. `key`: a pause is passed once per run and key,
    also when the run is tried again; by default the number of the pause in the flow.

    `flow_run_id`: pause that run instead; it starts nothing new until it is resumed, and nothing waits here.

    Raises FlowPauseTimeout when nobody resumed the run in time, MissingContext outside of a run and within a task,
    Refused if the run cannot be paused now.
    """
    return _pause("pause_flow_run", wait_for_input, flow_run_id, timeout, poll_interval, key, suspend=reschedule)


@overload
def suspend_flow_run(
    wait_for_input: None = None,
    flow_run_id: UUID | str | None = None,
    timeout: float | None = 3600,
    key: str | None = None,
    client: Any = None,
) -> None: ...


@overload
def suspend_flow_run(
    wait_for_input: type[T],
    flow_run_id: UUID | str | None = None,
    timeout: float | None = 3600,
    key: str | None = None,
    client: Any = None,
) -> T: ...


def suspend_flow_run(
    wait_for_input: Any = None,
    flow_run_id: UUID | str | None = None,
    timeout: float | None = 3600,
    key: str | None = None,
    client: Any = None,
) -> Any:
    """Suspend the run around the calling code: its process ends, and its infrastructure is free.

    When somebody resumes the run, it is launched again: the function runs from its start, task runs that completed
    with a persisted result are not repeated, and this call returns at once, with the input if it asks for one. The
    arguments are those of `pause_flow_run`. To be awaited in an asynchronous flow.

    Raises what `pause_flow_run` raises; Refused also for a run without a deployment and for a subflow run, which
    nobody could launch again.
    """
    return _pause("suspend_flow_run", wait_for_input, flow_run_id, timeout, 10, key, suspend=True, client=client)


def resume_flow_run(flow_run_id: UUID | str, run_input: dict[str, Any] | None = None) -> Any:
    """Let a paused run go on, or a suspended one be launched again. To be awaited where an event loop runs.

    `run_input`: what it waits for, by field; checked by the server. Raises NotPausedError, ParameterError for input
    that does not fit, FlowPauseTimeout if it is too late.
    """
    return carry_out(_resume_steps(UUID(str(flow_run_id)), run_input))


def _pause(
    what: str,
    wait_for_input: Any,
    flow_run_id: UUID | str | None,
    timeout: float | None,
    poll_interval: float,
    key: str | None,
    *,
    suspend: bool,
    client: Any = None,
) -> Any:
    for name, value in (("timeout", timeout), ("poll_interval", poll_interval)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise ConfigurationError(f"{name} is {value!r}; it must be a number of seconds, 0 or more")
    run = FLOW_RUN.get()
    if flow_run_id is not None and (run is None or UUID(str(flow_run_id)) != run.flow_run.id):
        if wait_for_input is not None:
            raise ConfigurationError(
                f"{what}(wait_for_input=…) is for the run around it: another run would never read the input"
            )
        return carry_out(_pause_other_steps(UUID(str(flow_run_id)), timeout, suspend, client))
    steps = pause_steps(
        _own_run(what, run),
        wait_for_input,
        timeout=timeout,
        poll_interval=max(poll_interval, 0.1),
        key=key,
        suspend=suspend,
    )
    return carry_out(steps)


def _own_run(what: str, run: FlowRunContext | None) -> FlowRunContext:
    if run is None:
        raise MissingContext(
            f"{what}() was called outside of a flow run.",
            hint=f"Call it in a function decorated with @flow, or name the run: {what}(flow_run_id=…).",
        )
    if TASK_RUN.get() is not None:
        raise MissingContext(
            f"{what}() was called from within a task; only the flow itself can wait.",
            hint="Call it in the flow, before or after the task.",
        )
    run.session.check()
    return run


def _pause_other_steps(flow_run_id: UUID, timeout: float | None, suspend: bool, client: Any) -> Steps[None]:
    """Have another run paused: its own process notices before it starts anything new."""
    ask, close = speaker(client)
    done = "suspended" if suspend else "paused"
    try:
        found = yield Blocking(lambda: ask(flow_runs.read_flow_run(flow_run_id)))
        if found.parent_task_run_id is not None and found.deployment_id is None:
            raise Refused(
                f"The subflow run '{found.name}' runs in the process of its parent, so it cannot be {done} by itself",
                hint="Pause its parent run, or call pause_flow_run() within the subflow.",
            )
        proposed = wire.proposal(paused_state(timeout, suspend))
        answer = yield Blocking(lambda: ask(flow_runs.set_flow_run_state(flow_run_id, proposed)))
        if answer.status is not Answer.ACCEPT:
            raise Refused(f"The run '{found.name}' cannot be {done}: {answer.details.reason}")
    finally:
        close()


def _resume_steps(flow_run_id: UUID, run_input: dict[str, Any] | None) -> Steps[None]:
    ask, close = speaker()
    try:
        call = flow_runs.resume_flow_run(flow_run_id, run_input)
        answer: OrchestrationResult = yield Blocking(lambda: ask(call))
    finally:
        close()
    reason = answer.details.reason
    if answer.status is Answer.ACCEPT:
        return
    if answer.status is Answer.ABORT or answer.state is None:
        raise NotPausedError(f"The run cannot be resumed: {reason}")
    if answer.state.is_failed():
        raise FlowPauseTimeout(f"The run cannot be resumed any more: {reason}")
    raise ParameterError(f"The run cannot be resumed so: {reason}")


def speaker(client: Any = None) -> tuple[Ask, Callable[[], None]]:
    """How to ask the server from here, and what to call afterwards. `client` may be of either kind."""
    if client is not None:
        return getattr(client, "blocking", client).send, lambda: None
    run = FLOW_RUN.get()
    if run is not None:
        return run.session.ask, lambda: None
    own = get_sync_client()
    return own.send, own.close
