"""What the call builders ask for: pure values, compared as such."""

import inspect
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from penstock.client import (
    attempts,
    block_documents,
    deployments,
    flow_runs,
    flows,
    logs,
    nouns,
    task_runs,
    work_queues,
)
from penstock.client.call import Call, decode, encode
from penstock.errors import Invalid
from penstock.model.attempts import AgentPoll
from penstock.model.block_documents import BlockDocumentCreate
from penstock.model.deployments import DeploymentCreate, DeploymentUpdate
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRun, FlowRunCreate, FlowRunUpdate
from penstock.model.flows import Flow
from penstock.model.logs import LogCreate
from penstock.model.states import State, StateCreate, StateType
from penstock.model.work_queues import WorkQueueCreate

ID = UUID("6d6ae2a9-2a55-4ba4-a1fd-0b5a9a3b9b10")


def sent(call: Call[Any]) -> Any:
    raw = encode(call.body, partial=call.partial)
    return None if raw is None else json.loads(raw)


def test_an_update_sends_what_was_given_and_a_none_that_was_given_is_a_value() -> None:
    call = flow_runs.update_flow_run(ID, FlowRunUpdate(name="n", infrastructure_pid=None))
    assert (call.method, call.path) == ("PATCH", f"/flow_runs/{ID}")
    assert sent(call) == {"name": "n", "infrastructure_pid": None}
    assert sent(deployments.update_deployment(ID, DeploymentUpdate(schedule=None))) == {"schedule": None}


def test_a_deployment_that_is_applied_again_can_take_something_away() -> None:
    body = sent(deployments.create_deployment(DeploymentCreate(name="d", flow_id=ID, schedule=None)))
    assert body == {"name": "d", "flow_id": str(ID), "schedule": None}


def test_none_within_parameters_is_a_value_and_is_kept() -> None:
    body = sent(flow_runs.create_flow_run(FlowRunCreate(flow_id=ID, parameters={"x": None, "y": {"z": None}})))
    assert body["parameters"] == {"x": None, "y": {"z": None}}
    assert "name" not in body


def test_a_list_that_was_filled_after_the_model_was_made_is_sent() -> None:
    run = FlowRunCreate(flow_id=ID)
    run.tags.append("t")
    assert sent(flow_runs.create_flow_run(run))["tags"] == ["t"]


def test_creating_a_run_gets_a_key_of_its_own_so_that_repeating_it_makes_no_second_run() -> None:
    first, second = (flow_runs.create_flow_run_from_deployment(ID) for _ in range(2))
    assert first.repeatable
    assert sent(first)["idempotency_key"] == sent(first)["idempotency_key"]
    assert sent(first)["idempotency_key"] != sent(second)["idempotency_key"]
    mine = DeploymentFlowRunCreate(idempotency_key="mine")
    assert sent(flow_runs.create_flow_run_from_deployment(ID, mine))["idempotency_key"] == "mine"


def test_a_proposed_state_gets_an_identity_and_a_state_that_was_read_can_be_proposed() -> None:
    body = sent(flow_runs.set_flow_run_state(ID, StateCreate(type=StateType.RUNNING), force=True))
    assert body["force"] is True
    assert body["state"]["type"] == "RUNNING"
    assert body["state"]["state_details"]["transition_id"] == body["state"]["id"]
    read = State(type=StateType.COMPLETED, timestamp=datetime(2030, 1, 1, tzinfo=UTC))
    proposed = sent(task_runs.set_task_run_state(ID, read))["state"]
    assert (proposed["id"], proposed["name"]) == (str(read.id), "Completed")


def test_filters_hold_only_what_was_given() -> None:
    call = flow_runs.read_flow_runs(flow_run_filter={"id": {"any_": [ID]}}, sort="NAME_ASC", limit=5)
    assert sent(call) == {"flow_runs": {"id": {"any_": [str(ID)]}}, "sort": "NAME_ASC", "limit": 5, "offset": 0}
    assert sent(flow_runs.count_flow_runs()) == {}


def test_names_are_quoted_in_paths() -> None:
    assert flows.read_flow_by_name("a b?c").path == "/flows/name/a%20b%3Fc"
    assert deployments.read_deployment_by_name("f/d e").path == "/deployments/name/f/d%20e"
    assert work_queues.read_work_queue_by_name("q", "p").path == "/work_pools/p/queues/q"
    assert work_queues.create_work_queue(WorkQueueCreate(name="q")).path == "/work_queues/"


@pytest.mark.parametrize("name", ["", "x", "/d", "f/"])
def test_a_deployment_is_named_by_flow_and_name(name: str) -> None:
    with pytest.raises(Invalid, match="FLOW/DEPLOYMENT"):
        deployments.read_deployment_by_name(name)


def test_a_poll_waits_as_long_as_it_asks_the_server_to() -> None:
    assert attempts.poll(AgentPoll(agent_id=ID, request_id=ID, name="a", wait_seconds=7)).patience == 7


def test_what_would_be_there_twice_is_not_repeatable() -> None:
    line = LogCreate(name="n", level=20, message="m", timestamp=datetime(2030, 1, 1, tzinfo=UTC))
    assert not logs.create_logs([line]).repeatable
    assert sent(logs.create_logs([line]))[0]["message"] == "m"
    named = BlockDocumentCreate(name="a", block_schema_id=ID, block_type_id=ID)
    anonymous = BlockDocumentCreate(block_schema_id=ID, block_type_id=ID, is_anonymous=True)
    assert block_documents.create_block_document(named).repeatable
    assert not block_documents.create_block_document(anonymous).repeatable


def test_numbers_that_json_does_not_know_are_null() -> None:
    assert encode({"x": float("nan"), "y": [float("inf")]}) == b'{"x":null,"y":[null]}'


def test_answers_become_what_the_call_says() -> None:
    raw = json.dumps({"id": str(ID), "name": "f", "from_a_newer_server": 1}).encode()
    flow = decode(raw, flows.read_flow(ID).answer())
    assert (type(flow), flow.id, flow.name) == (Flow, ID, "f")
    assert decode(b"[" + raw + b"]", flows.read_flows().answer()) == [flow]
    assert decode(b"", flows.delete_flow(ID).answer()) is None
    assert decode(b"7", flow_runs.count_flow_runs().answer()) == 7
    with pytest.raises(ValueError, match="expected int"):
        decode(b'"7"', flow_runs.count_flow_runs().answer())
    with pytest.raises(ValueError):
        decode(raw, FlowRun)


def test_every_name_belongs_to_one_noun_only() -> None:
    names = [
        name
        for noun in nouns.NOUNS
        for name, value in vars(__import__(f"penstock.client.{noun}", fromlist=["x"])).items()
        if inspect.isfunction(value) and value.__module__ == f"penstock.client.{noun}" and not name.startswith("_")
    ]
    assert len(names) == len(set(names)) == len(nouns.all_builders())


def test_building_and_sending_raw_requests_imports_no_model() -> None:
    program = (
        "import sys, penstock.client.sync as s; from penstock.client import nouns\n"
        "nouns.all_builders()['read_flow_runs'](limit=3)\n"
        "assert not {'pydantic', 'pydantic_core', 'asyncio', 'logging'} & set(sys.modules), 'heavy imports'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_ids_are_accepted_as_text_or_uuid() -> None:
    some = uuid4()
    assert flow_runs.read_flow_run(some).path == flow_runs.read_flow_run(UUID(str(some))).path
