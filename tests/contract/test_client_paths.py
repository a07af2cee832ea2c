"""Every call of the client is one that the server understands."""

import gzip
import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from penstock.client import nouns
from penstock.client.call import Call
from penstock.client.sync import SyncClient
from penstock.errors import APIError, Invalid
from penstock.model.applying import DeploymentApply
from penstock.model.artifacts import ArtifactCreate, ArtifactUpdate
from penstock.model.attempts import AgentPoll, AttemptReports, Intent, Presentation
from penstock.model.block_documents import BlockDocumentCreate, BlockDocumentUpdate
from penstock.model.block_schemas import BlockSchemaCreate
from penstock.model.block_types import BlockTypeCreate, BlockTypeUpdate
from penstock.model.bundles import BundleOffer
from penstock.model.concurrency_limits import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    SlotRequest,
    SlotWish,
)
from penstock.model.deployments import DeploymentCreate, DeploymentScheduleUpdate, DeploymentUpdate
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRunCreate, FlowRunUpdate
from penstock.model.flows import FlowCreate, FlowUpdate
from penstock.model.notifications import FlowRunNotificationPolicyCreate, FlowRunNotificationPolicyUpdate
from penstock.model.reports import ReportBatch
from penstock.model.schedules import CronSchedule
from penstock.model.states import StateCreate, StateType
from penstock.model.task_runs import TaskRunCreate, TaskRunUpdate
from penstock.model.variables import VariableCreate, VariableUpdate
from penstock.model.work_pools import WorkPoolCreate, WorkPoolUpdate
from penstock.model.work_queues import WorkQueueCreate, WorkQueueUpdate
from penstock.testing import server

ID = UUID(int=7)
#: The digest of a bundle of nothing.
EMPTY = f"sha256:{sha256(b'').hexdigest()}"
#: One value for each required parameter, by builder and parameter, by builder, or by parameter alone.
VALUES: dict[str, Any] = {
    "acquire_slots.request": SlotRequest(wishes=[SlotWish(holder_id=ID, names=["n"])]),
    "create_concurrency_limit.concurrency_limit": 1,
    "create_flow_run_tag_limit.concurrency_limit": 1,
    "create_global_concurrency_limit.concurrency_limit": GlobalConcurrencyLimitCreate(name="n", limit=1),
    "update_global_concurrency_limit.concurrency_limit": GlobalConcurrencyLimitUpdate(limit=1),
    "holder_ids": [ID],
    "names": ["n"],
    "slots": 1,
    "tag": "t",
    "create_artifact": ArtifactCreate(key="k"),
    "update_artifact": ArtifactUpdate(),
    "create_variable": VariableCreate(name="n", value="v"),
    "update_variable": VariableUpdate(),
    "variable": VariableUpdate(),
    "create_block_document": BlockDocumentCreate(name="n", block_schema_id=ID, block_type_id=ID),
    "update_block_document": BlockDocumentUpdate(),
    "create_block_schema": BlockSchemaCreate(block_type_id=ID),
    "create_block_type": BlockTypeCreate(name="n", slug="n"),
    "update_block_type": BlockTypeUpdate(),
    "apply_deployment": DeploymentApply(name="n", flow_id=ID),
    "create_flow_run_notification_policy": FlowRunNotificationPolicyCreate(
        state_names=[], tags=[], block_document_id=ID
    ),
    "update_flow_run_notification_policy": FlowRunNotificationPolicyUpdate(),
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
    "cache_key": "k",
    "schedules": [],
    "schedule": CronSchedule(cron="@daily"),
    "update_deployment_schedule": DeploymentScheduleUpdate(),
    "logs": [],
    "request": AgentPoll(agent_id=ID, request_id=ID, name="a", wait_seconds=0),
    "intent": Intent(agent_id=ID, job_name="j", reach="r", infrastructure_type="process"),
    "reports": AttemptReports(reports=[]),
    "presentation": Presentation(token="t", instance_id=ID),
    "batch": ReportBatch(stream=ID, sequence=1, flow_run_id=ID),
    "state": StateCreate(type=StateType.RUNNING, timestamp=datetime(2030, 1, 1, tzinfo=UTC)),
    "read_deployment_by_name": "flow/name",
    "name": "name",
    "slug": "slug",
    "block_type_slug": "slug",
    "checksum": "sha256:0",
    "digest": EMPTY,
    "offer": BundleOffer(digest=EMPTY, files=0, size=0),
    "write": lambda piece: None,
    "begin": lambda: None,
    "key": "key",
    "key_prefix": "key",
    "value": "value",
}


def arguments(builder: Any) -> dict[str, Any]:
    """A value for each parameter of `builder` that has no default."""
    wanted = [p.name for p in inspect.signature(builder).parameters.values() if p.default is inspect.Parameter.empty]
    found = {}
    for name in wanted:
        exact = f"{builder.__name__}.{name}"
        is_named = builder.__name__ in VALUES and (name != "name" or len(wanted) == 1)
        key = exact if exact in VALUES else builder.__name__ if is_named else name
        found[name] = ID if name.endswith("_id") else VALUES[key]
    return found


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncClient]:
    VALUES["archive"] = tmp_path_factory.mktemp("bundle") / "empty"
    VALUES["archive"].write_bytes(gzip.compress(b""))
    with server() as running, running.client() as client:
        yield client


def is_understood(client: SyncClient, call: Call[Any]) -> None:
    """The server has the route and takes the body; it may say that there is no such object, or one in the way."""
    code, status, words = "", 200, ""
    try:
        client.send(call)
    except APIError as error:
        code, status, words = error.code, error.status or 0, error.message
    assert code != "no_such_route", f"{call.method} {call.path} is no route of the server"
    assert status in {200, 401, 404, 409}, f"{call.method} {call.path}: {status} {words}"


@pytest.mark.parametrize("name", sorted(nouns.all_builders()))
def test_the_server_understands(name: str, client: SyncClient) -> None:
    builder = nouns.all_builders()[name]
    is_understood(client, builder(**arguments(builder)))


@pytest.mark.parametrize("name", ["create_work_queue", "read_work_queue_by_name", "read_work_queues"])
def test_the_server_understands_within_a_pool(name: str, client: SyncClient) -> None:
    builder = nouns.all_builders()[name]
    call = builder(**arguments(builder), work_pool="pool")
    assert call.path.startswith("/work_pools/pool/queues")
    is_understood(client, call)


def test_an_address_without_its_path_is_told_and_is_no_object_that_is_missing(client: SyncClient) -> None:
    host = client.api_url.removesuffix("/api")
    with SyncClient(host) as beside, pytest.raises(Invalid, match="whose path does not end in /api") as refused:
        beside.read_deployment_by_name("a/b")
    assert refused.value.hint == f"Is PENSTOCK_API_URL={host}/api meant?"
