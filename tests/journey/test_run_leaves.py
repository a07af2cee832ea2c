"""What a deployed run reads and leaves behind, on a server that demands a key which the job does not have."""

import pytest

SOURCE = """
import os
from penstock.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from penstock.variables import Variable

GREETING = Variable.get("greeting").value  # while the file is loaded there is no run yet

@task
def look():
    bar = create_progress_artifact(0, key="bar")
    update_progress_artifact(bar, 100)
    return create_markdown_artifact("# " + GREETING, key="greeting")

@flow
def main():
    assert "PENSTOCK_API_KEY" not in os.environ
    look()
    Variable.set("greeting", "bye", overwrite=True)
    Variable.set("passing", "1")
    assert Variable.unset("passing")
"""


@pytest.fixture
def guarded(tmp_path, make_world):
    with make_world(tmp_path / "world", env={"PENSTOCK_SERVER_API_KEY": "secret"}) as world:
        yield world


def test_a_deployed_run_reads_variables_and_leaves_artifacts_without_the_servers_key(guarded):
    from penstock.model.variables import VariableCreate

    guarded.client.create_variable(VariableCreate(name="greeting", value="hello"))
    guarded.agent("-q", "queue", env={"PENSTOCK_API_KEY": "secret"})
    run = guarded.run(guarded.deploy(SOURCE))
    assert guarded.wait_for(run).state_name == "Completed", guarded.story(run)
    left = {one.key: one for one in guarded.client.read_latest_artifacts()}
    assert {key: one.data for key, one in left.items()} == {"bar": 100, "greeting": "# hello"}
    assert {one.flow_run_id for one in left.values()} == {run.id}
    assert None not in {one.task_run_id for one in left.values()}
    assert [(one.name, one.value) for one in guarded.client.read_variables()] == [("greeting", "bye")]
