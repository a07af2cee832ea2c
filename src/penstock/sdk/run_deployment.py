"""run_deployment: ask for a run of a deployment, and wait for its end."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock import clock
from penstock.client.sync import SyncClient
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRun
from penstock.model.states import StateCreate, StateDetails, StateType


def run_deployment(
    name: str | UUID,
    client: SyncClient | None = None,
    parameters: dict[str, Any] | None = None,
    scheduled_time: datetime | None = None,
    flow_run_name: str | None = None,
    timeout: float | None = None,
    poll_interval: float = 1,
    tags: Iterable[str] | None = None,
    idempotency_key: str | None = None,
    job_variables: dict[str, Any] | None = None,
) -> FlowRun:
    """Create a run of the deployment ``flow/deployment`` (or of that id) and return it when it is over.

    `timeout` seconds of waiting, after which the run is returned as it then is; 0 does not wait, None waits for ever.
    The run goes on in any case. Blocks the thread; async code calls `arun_deployment`.
    """
    from penstock.client import deployments, flow_runs, get_sync_client

    if client is None:
        with get_sync_client() as own:
            return run_deployment(
                name, own, parameters, scheduled_time, flow_run_name, timeout, poll_interval, tags, idempotency_key,
                job_variables,
            )  # fmt: skip
    by_id = isinstance(name, UUID)
    call = deployments.read_deployment(name) if by_id else deployments.read_deployment_by_name(str(name))  # type: ignore[arg-type]
    deployment = client.send(call)
    details = StateDetails(scheduled_time=scheduled_time or clock.now())
    request = DeploymentFlowRunCreate(
        state=StateCreate(type=StateType.SCHEDULED, state_details=details),
        name=flow_run_name,
        parameters=parameters or {},
        tags=list(tags or ()),
        idempotency_key=idempotency_key,
        job_variables=job_variables,
    )
    run = client.send(flow_runs.create_flow_run_from_deployment(deployment.id, request))
    deadline = None if timeout is None else clock.monotonic() + timeout
    while deadline is None or clock.monotonic() < deadline:
        run = client.send(flow_runs.read_flow_run(run.id))
        if run.state is not None and run.state.is_final():
            return run
        left = poll_interval if deadline is None else min(poll_interval, deadline - clock.monotonic())
        time.sleep(max(0.0, left))
    return run


async def arun_deployment(name: str | UUID, **options: Any) -> FlowRun:
    """`run_deployment` for async code."""
    import asyncio

    return await asyncio.to_thread(run_deployment, name, **options)
