"""wait_for_flow_run: wait for the end of any run."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from penstock.engine.deployment_calls import is_over
from penstock.engine.dispatch import carry_out
from penstock.engine.run_control import speaker
from penstock.engine.steps import Steps
from penstock.engine.watches import RunWatch, Watched
from penstock.errors import FlowRunWaitTimeout
from penstock.model.flow_runs import FlowRun

_log = logging.getLogger("penstock.flow_runs")


def wait_for_flow_run(
    flow_run_id: UUID | str,
    timeout: float | None = 10800,
    poll_interval: float = 5,
    client: Any = None,
    log_states: bool = False,
) -> Any:
    """The run, a FlowRun, when it is over. To be awaited in asynchronous flows and wherever else an event loop runs.

    `timeout`: seconds, None waits for ever. `poll_interval`: most seconds between two questions to the server, which
    answers when the run has changed. `log_states`: log every state that it goes through. Raises FlowRunWaitTimeout
    when it is not over by then, and NotFound.
    """
    return carry_out(_wait_steps(UUID(str(flow_run_id)), timeout, poll_interval, client, log_states))


def _wait_steps(
    flow_run_id: UUID, timeout: float | None, poll_interval: float, client: Any, log_states: bool
) -> Steps[FlowRun]:
    ask, close = speaker(client)
    try:
        seen: Callable[[FlowRun], None] | None = _log_state if log_states else None
        watch = RunWatch(ask, flow_run_id, is_over, poll_seconds=poll_interval, timeout=timeout, seen=seen)
        found: FlowRun = yield Watched(watch)
    finally:
        close()
    if not is_over(found):
        raise FlowRunWaitTimeout(
            f"The run '{found.name}' is {found.state_name} after {timeout:g} s",
            hint=f"It goes on. Why it is where it is: penstock flow-run explain {found.id}",
        )
    return found


def _log_state(run: FlowRun) -> None:
    _log.info("Flow run '%s' is %s", run.name, run.state_name)
