"""Blocks that name variables of the machine they are used on: replaced there, and shown as they were written."""

from typing import TYPE_CHECKING

import pytest

from penstock.infrastructure.process.config import Process
from penstock.model.states import StateType
from penstock.storage.local import LocalFileSystem

if TYPE_CHECKING:
    from tests.journey.conftest import World

GREET = """
    @flow
    def main():
        mark("greeted", os.environ["GREETING"])
"""


@pytest.fixture(autouse=True)
def connected(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", world.server.api_url)


def test_the_agent_and_the_job_replace_references_and_nothing_shows_what_they_stand_for(world: "World") -> None:
    infrastructure = Process(env={"GREETING": "<${env:AGENT_KNOWS}>", "WHERE": "${env:AGENT_FOLDER}"}).save("here")
    storage = LocalFileSystem(basepath="${env:WHERE}").save("code")
    deployment = world.deploy(GREET, infrastructure_document_id=infrastructure, storage_document_id=storage)
    working = world.agent(
        "-q",
        "queue",
        env={"AGENT_KNOWS": "PLANTED", "AGENT_FOLDER": str(world.folder), "PENSTOCK_LOGGING_LEVEL": "DEBUG"},
    )
    run = world.run(deployment)
    world.wait_for(run, StateType.COMPLETED)
    assert world.marked("greeted") == ["<PLANTED>"]
    attempt = world.ended(run)
    assert attempt.configuration is not None
    assert attempt.configuration["env"]["GREETING"] == "<${env:AGENT_KNOWS}>"
    assert "PLANTED" not in str(attempt)
    assert "PLANTED" not in "".join(world.logs(run)) + working.output
    assert LocalFileSystem.load("code").basepath == "${env:WHERE}"


def test_a_run_whose_variable_is_not_set_says_which_one_of_which_block(world: "World") -> None:
    infrastructure = Process(env={"GREETING": "${env:NOBODY_SET_IT}"}).save("lost")
    deployment = world.deploy(GREET, infrastructure_document_id=infrastructure)
    world.agent("-q", "queue")
    run = world.wait_for(world.run(deployment))
    assert run.state is not None
    assert run.state_type is StateType.CRASHED
    said = str(run.state.message)
    assert "block process/lost: env.GREETING: the environment variable NOBODY_SET_IT is not set" in said
