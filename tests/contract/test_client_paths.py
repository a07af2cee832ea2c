"""Every call of the client names a route that the server has."""

import inspect
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from penstock.client import nouns
from penstock.model.attempts import AgentPoll, AttemptReports, Intent, Presentation
from penstock.model.block_documents import BlockDocumentCreate, BlockDocumentUpdate
from penstock.model.block_schemas import BlockSchemaCreate
from penstock.model.block_types import BlockTypeCreate, BlockTypeUpdate
from penstock.model.deployments import DeploymentCreate, DeploymentUpdate
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRunCreate, FlowRunUpdate
from penstock.model.flows import FlowCreate, FlowUpdate
from penstock.model.reports import ReportBatch
from penstock.model.states import StateCreate, StateType
from penstock.model.task_runs import TaskRunCreate, TaskRunUpdate
from penstock.model.work_pools import WorkPoolCreate, WorkPoolUpdate
from penstock.model.work_queues import WorkQueueCreate, WorkQueueUpdate
from penstock.testing import server

ID = UUID(int=7)
#: One value for each required parameter, by builder and parameter or by parameter alone.
VALUES: dict[str, Any] = {
    "create_block_document": BlockDocumentCreate(name="n", block_schema_id=ID, block_type_id=ID),
    "update_block_document": BlockDocumentUpdate(),
    "create_block_schema": BlockSchemaCreate(block_type_id=ID),
    "create_block_type": BlockTypeCreate(name="n", slug="n"),
    "update_block_type": BlockTypeUpdate(),
    "create_deployment": DeploymentCreate(name="n", flow_id=ID),
    "update_deployment": DeploymentUpdate(),
    "create_flow": FlowCreate(name="n"),
    "update_flow": FlowUpdate(),
    "create_flow_run": FlowRunCreate(flow_id=ID),
    "create_flow_run_from_deployment": DeploymentFlowRunCreate(),
    "update_flow_run": FlowRunUpdate(),
    "create_task_run": TaskRunCreate(task_key="k", dynamic_key="0"),
    "update_task_run": TaskRunUpdate(),
    "create_work_pool": WorkPoolCreate(name="n"),
    "update_work_pool": WorkPoolUpdate(),
    "create_work_queue": WorkQueueCreate(name="n"),
    "update_work_queue": WorkQueueUpdate(),
    "schedules": [],
    "logs": [],
    "request": AgentPoll(agent_id=ID, request_id=ID, name="a"),
    "intent": Intent(agent_id=ID, job_name="j", reach="r", infrastructure_type="process"),
    "reports": AttemptReports(reports=[]),
    "presentation": Presentation(token="t", instance_id=ID),
    "batch": ReportBatch(stream=ID, sequence=1, flow_run_id=ID),
    "state": StateCreate(type=StateType.RUNNING, timestamp=datetime(2030, 1, 1, tzinfo=UTC)),
    "name": "flow/name",
    "slug": "slug",
    "block_type_slug": "slug",
    "checksum": "sha256:0",
}


def arguments(builder: Any) -> dict[str, Any]:
    """A value for each parameter of `builder` that has no default."""
    wanted = [p.name for p in inspect.signature(builder).parameters.values() if p.default is inspect.Parameter.empty]
    found = {}
    for name in wanted:
        is_body = not name.endswith("_id") and builder.__name__ in VALUES and name not in {"name", "slug"}
        found[name] = ID if name.endswith("_id") else VALUES[builder.__name__ if is_body else name]
    return found


@pytest.fixture(scope="module")
def routes() -> set[tuple[str, str]]:
    """(method, path) of all that the server answers, path parameters as ``{}``."""
    with server() as running, running.client() as client:
        document = client.request("GET", "/openapi.json")
    return {
        (method.upper(), re.sub(r"{[^}]*}", "{}", path.removeprefix("/api")))
        for path, operations in document["paths"].items()
        for method in operations
    }


def pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\{\}", "[^/]+"))


@pytest.mark.parametrize("name", sorted(nouns.all_builders()))
def test_the_server_has_a_route_for(name: str, routes: set[tuple[str, str]]) -> None:
    builder = nouns.all_builders()[name]
    call = builder(**arguments(builder))
    assert any(call.method == method and pattern(path).fullmatch(call.path) for method, path in routes), (
        f"{call.method} {call.path} is no route of the server"
    )


@pytest.mark.parametrize("name", ["create_work_queue", "read_work_queue_by_name", "read_work_queues"])
def test_the_server_has_a_route_within_a_pool_for(name: str, routes: set[tuple[str, str]]) -> None:
    builder = nouns.all_builders()[name]
    call = builder(**arguments(builder), work_pool="pool")
    assert call.path.startswith("/work_pools/pool/queues")
    assert any(call.method == method and pattern(path).fullmatch(call.path) for method, path in routes)
