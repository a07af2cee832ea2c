"""An engine whose attempt is over leaves nothing behind any more, on both databases."""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from penstock.errors import Refused
from penstock.model.artifacts import ArtifactCreate, ArtifactUpdate
from penstock.model.flow_run_inputs import FlowRunInputCreate
from penstock.server import keys
from penstock.server.operations.create_artifact import create_artifact
from penstock.server.operations.create_flow_run_input import create_flow_run_input
from penstock.server.operations.delete_flow_run_input import delete_flow_run_input
from penstock.server.operations.read_artifacts import read_artifact
from penstock.server.operations.update_artifact import update_artifact

if TYPE_CHECKING:
    from conftest import World


def test_artifacts_and_inputs_are_taken_from_a_live_engine_and_not_from_a_superseded_one(world: "World"):
    run_id, agent_id = world.run(), uuid4()
    attempt_id = world.started(run_id, agent_id)
    attempt = (attempt_id, keys.attempt_token(attempt_id))
    made = world.write(create_artifact, ArtifactCreate(data=1, flow_run_id=run_id), attempt=attempt)
    world.write(create_flow_run_input, run_id, FlowRunInputCreate(key="k", value="1"), attempt=attempt)
    world.report(attempt_id, agent_id, observation=world.ended(code=0))
    calls: list[tuple[Any, ...]] = [
        (create_artifact, ArtifactCreate(data=2, flow_run_id=run_id)),
        (update_artifact, made.id, ArtifactUpdate(data=2)),
        (create_flow_run_input, run_id, FlowRunInputCreate(key="other", value="2")),
        (delete_flow_run_input, run_id, "k"),
    ]
    for call in calls:
        with pytest.raises(Refused) as refused:
            world.write(*call, attempt=attempt)
        assert (refused.value.code, refused.value.status) == ("attempt_superseded", 409)
    assert world.write(read_artifact, made.id).data == 1
