"""How runs in containers end, whoever ends them: the verdict, its reason, the way out, and nothing left behind."""

import os
from typing import TYPE_CHECKING

import pytest
from jobs_end import WAITS, JobsEnd, Place

from penstock.model.reasons import Phase, Reason
from penstock.model.states import StateType

if TYPE_CHECKING:
    from harbour import Harbour


class TestContainersEnd(JobsEnd):
    """What ends the same on every platform."""

    @pytest.fixture
    def place(self, harbour: "Harbour") -> Place:
        return harbour


def test_a_container_that_somebody_kills_is_a_crash_with_its_signal(harbour: "Harbour", name: str) -> None:
    world = harbour.world
    run = world.run(harbour.deploy(WAITS), name=name)
    world.wait_for_mark(f"{name}-began")
    harbour.engine.client.kill(harbour.engine.container(run))
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert state.state_details.phase is Phase.RUN
    assert state.state_details.reason is Reason.SIGNALLED, world.story(run)
    attempt = world.ended(run)
    assert attempt.number == 1  # user code had begun: it is not begun again
    assert attempt.hint
    assert attempt.exit is not None
    assert attempt.exit.signal == 9
    assert "it began" in (attempt.output_tail or "")
    assert world.marked(f"{name}-left") == []


def test_nothing_is_kept_of_a_failed_run_that_wants_its_container_removed(harbour: "Harbour", name: str) -> None:
    """Neither the container, nor the volumes that its image gives it."""
    world, client = harbour.world, harbour.engine.client
    repository = f"penstock-test/{name}"
    base = client.create_container(harbour.image)["Id"]
    image = client.commit(base, repository, "1", changes="VOLUME /scratch")["Id"]
    client.remove_container(base)
    try:
        source = """
            @flow
            def main(name: str):
                mark(name + "-began")
                wait_for(name + "-go")
                raise ValueError("as it is")
        """
        block = {"image": f"{repository}:1", "auto_remove": True, "image_pull_policy": "NEVER"}
        run = world.run(harbour.deploy(source, block=block), name=name)
        world.wait_for_mark(f"{name}-began")
        mounts = client.inspect_container(harbour.engine.container(run))["Mounts"]
        volumes = {str(mount["Name"]) for mount in mounts if mount["Type"] == "volume"}
        assert len(volumes) == 1
        world.let(f"{name}-go")
        world.wait_for(run, StateType.FAILED)
        harbour.engine.wait_until_gone(run)
        assert not volumes & harbour.engine.volumes()
        attempt = world.ended(run)
        assert "as it is" in (attempt.output_tail or "")
    finally:
        harbour.engine.remove_all()
        client.remove_image(image, force=True)


def test_a_run_goes_well_where_nothing_can_be_written_to(harbour: "Harbour", name: str) -> None:
    source = """
        @flow
        def main(name: str):
            mark(name + "-ran")
    """
    run = harbour.world.run(harbour.deploy(source, block={"read_only": True, "user": "123456:123456"}), name=name)
    harbour.world.wait_for(run, StateType.COMPLETED)
    assert len(harbour.world.marked(f"{name}-ran")) == 1


def test_a_package_that_there_is_not_costs_one_launch_and_is_named(harbour: "Harbour", name: str) -> None:
    world = harbour.world
    env = {"EXTRA_PIP_PACKAGES": f"--no-index no-such-{name}"}
    run = world.run(harbour.deploy(WAITS, block={"env": env}), name=name)
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert (state.state_details.phase, state.state_details.reason) == (Phase.START, Reason.CONFIGURATION_INVALID)
    assert f"No matching distribution found for no-such-{name}" in (state.message or "")
    assert [attempt.number for attempt in world.attempts(run)] == [1]
    assert world.marked(f"{name}-began") == []


def test_several_run_side_by_side_and_each_leaves_nothing(harbour: "Harbour", name: str) -> None:
    _side_by_side(harbour, name, 6)


@pytest.mark.soak
@pytest.mark.skipif("PENSTOCK_TEST_SOAK" not in os.environ, reason="takes long: set PENSTOCK_TEST_SOAK")
def test_thirty_run_side_by_side_and_each_leaves_nothing(harbour: "Harbour", name: str) -> None:
    _side_by_side(harbour, name, 30)


def _side_by_side(harbour: "Harbour", name: str, count: int) -> None:
    world = harbour.world
    deployment = harbour.deploy(WAITS, block={"auto_remove": True})
    runs = [world.run(deployment, name=f"{name}-{number}") for number in range(count)]
    for number in range(count):
        world.wait_for_mark(f"{name}-{number}-began", timeout=240)
    assert len({harbour.engine.container(run) for run in runs}) == count  # all of them are there at once
    for number in range(count):
        world.let(f"{name}-{number}-go")
    for run in runs:
        world.wait_for(run, StateType.COMPLETED, timeout=240)
        assert [attempt.number for attempt in world.attempts(run)] == [1]
        harbour.engine.wait_until_gone(run)
