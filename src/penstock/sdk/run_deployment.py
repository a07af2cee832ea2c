"""run_deployment: ask for a run of a deployment, and wait for its end."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.engine.deployment_calls import DeploymentCall, deployment_call_steps
from penstock.engine.dispatch import carry_out
from penstock.engine.steps import drive_async
from penstock.errors import ConfigurationError
from penstock.model.flow_runs import FlowRun


def run_deployment(
    name: str | UUID,
    client: Any = None,
    parameters: dict[str, Any] | None = None,
    scheduled_time: datetime | None = None,
    flow_run_name: str | None = None,
    timeout: float | None = None,
    poll_interval: float = 5,
    tags: Iterable[str] | None = None,
    idempotency_key: str | None = None,
    work_queue_name: str | None = None,
    as_subflow: bool = True,
    infra_overrides: dict[str, Any] | None = None,
    job_variables: dict[str, Any] | None = None,
) -> Any:
    """Create a run of the deployment ``flow/deployment`` (or of that id) and return it, a FlowRun, when it is over.

    To be awaited in asynchronous flows and wherever else an event loop runs.

    `timeout`: seconds of waiting, after which the run is returned as it then is; 0 does not wait, None waits for ever.
    The run goes on in any case. `poll_interval`: most seconds between two questions to the server, which answers when
    the run is over. `idempotency_key`: the run that was made under it is taken, if there is one. `work_queue_name`:
    another queue of the deployment's pool. `job_variables`, or `infra_overrides`, go over the deployment's.

    Within a flow, the run is a subflow run of that: a task run stands for it there, `parameters` may hold futures,
    cancelling the flow's run cancels it, and when the flow is tried again, a run that has completed or goes on is
    taken over. `as_subflow=False` makes a run that has nothing to do with the one that asks for it.

    Raises NotFound, ParameterError for parameters that the flow does not have.
    """
    return carry_out(deployment_call_steps(_asked(locals()), client))


async def arun_deployment(name: str | UUID, client: Any = None, **options: Any) -> FlowRun:
    """`run_deployment` for async code: always to be awaited."""
    return await drive_async(deployment_call_steps(_asked({"name": name, **options}), client))


def _asked(given: dict[str, Any]) -> DeploymentCall:
    options = {key: value for key, value in given.items() if value is not None and key != "client"}
    options["as_subflow"] = bool(given.get("as_subflow", True))
    overrides = options.pop("infra_overrides", None)
    if overrides is not None:
        if "job_variables" in options:
            raise ConfigurationError("Both job_variables and infra_overrides were given, which is another name of it")
        options["job_variables"] = overrides
    for option in ("timeout", "poll_interval"):
        value = options.get(option, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ConfigurationError(f"{option} is {value!r}; it must be a number of seconds, 0 or more")
    return DeploymentCall(**options)
