"""What workers are told of a flow run, its flows and tasks."""

from typing import Any

from penstock import settings
from penstock.engine import remote_calls
from penstock.engine.context import FlowRunContext
from penstock.engine.protocols import FlowLike, TaskLike
from penstock.engine.remote_calls import FlowFacts, RunFacts, TaskFacts
from penstock.engine.worker_sessions import here


def task_facts(task: TaskLike) -> TaskFacts:
    return TaskFacts(
        name=task.name,
        task_key=task.task_key,
        description=task.description,
        version=task.version,
        isasync=task.isasync,
        tags=task.tags,
        retries=task.retries,
        timeout_seconds=task.timeout_seconds,
        log_prints=task.log_prints,
    )


def _flow_facts(flow: FlowLike) -> FlowFacts:
    return FlowFacts(
        name=flow.name,
        description=flow.description,
        version=flow.version,
        isasync=flow.isasync,
        log_prints=flow.log_prints,
        retries=flow.retries,
        retry_delay_seconds=flow.retry_delay_seconds,
        timeout_seconds=flow.timeout_seconds,
        persist_result=flow.persist_result,
        result_storage=_if_picklable(flow.result_storage),
        result_serializer=_if_picklable(flow.result_serializer),
        cache_result_in_memory=flow.cache_result_in_memory,
    )


def _if_picklable(value: Any) -> Any:
    return value if remote_calls.can_pickle(value) else None


def pack_run(run: FlowRunContext) -> bytes:
    flow_runs = []
    around: FlowRunContext | None = run
    while around is not None:
        model = around.flow_run.model_copy(update={"state": None})
        flow_runs.append((_flow_facts(around.flow), model.model_dump_json().encode()))
        around = around.parent
    given = {**settings.for_jobs(), "PENSTOCK_API_URL": run.session.client.api_url}
    key = settings.get("PENSTOCK_API_KEY")
    if key and run.session.attempt is None:
        given["PENSTOCK_API_KEY"] = str(key)
    facts = RunFacts(tuple(flow_runs), run.log_prints, given, run.session.attempt, here())
    return remote_calls.dumps(facts)
