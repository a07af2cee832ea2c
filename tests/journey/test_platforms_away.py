"""A platform that does not answer, or is not ready: runs wait with the reason shown, and none is lost or runs twice."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.client import agents, flow_runs
from penstock.infrastructure.fake import Fake, FakeDriver
from penstock.model.flow_runs import FlowRun
from penstock.model.states import StateType
from penstock.testing import Fault, FaultProxy, wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

ENGINE = [sys.executable, "-m", "penstock.engine"]
GO = """
    @flow
    def main(name: str):
        mark(name)
        wait_for(name + "-go")
        mark(name + "-done")
"""


@pytest.fixture(autouse=True)
def connected(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", world.server.api_url)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of the fake platform."""
    return tmp_path / "platform"


def deploy(world: "World", name: str, queue: str = "queue", **knobs: Any) -> Any:
    block = Fake(command=ENGINE, **knobs).save(name, overwrite=True)
    return world.deploy(GO, infrastructure_document_id=block, queue=queue)


def explained(world: "World", run: FlowRun) -> str:
    return str(world.client.send(flow_runs.explain_flow_run(run.id))["explanation"])


def waits(world: "World", run: FlowRun) -> bool:
    """Whether its last attempt says what it waits for."""
    found = world.attempts(run)
    return bool(found and found[-1].waiting_for)


def jobs(place: Path) -> list[str]:
    return [path.name for path in place.iterdir() if not path.name.startswith(".")]


def test_a_run_whose_image_is_being_fetched_says_so_and_starts_as_soon_as_it_is_there(
    world: "World", place: Path
) -> None:
    world.agent("-q", "queue", fake_platform=place)
    run = world.run(deploy(world, "slow", prepares_for=600), name="r")
    wait_until(lambda: waits(world, run), message="the attempt says what it waits for")
    attempt = world.attempts(run)[-1]
    assert (attempt.status, attempt.waiting_for, attempt.phase) == (
        "LAUNCHING",
        "the image fake:1 to be fetched",
        "image",
    )
    assert "waits for the image fake:1 to be fetched" in explained(world, run)
    FakeDriver(place).finish_preparing()
    world.let("r-go")
    world.wait_for(run, StateType.COMPLETED)
    ended = world.ended(run)
    assert (ended.number, ended.exit and ended.exit.code, len(world.marked("r"))) == (1, 0, 1)


def test_a_run_that_is_cancelled_while_its_image_is_fetched_starts_nothing(world: "World", place: Path) -> None:
    world.agent("-q", "queue", fake_platform=place)
    run = world.run(deploy(world, "slow", prepares_for=600), name="r")
    wait_until(lambda: waits(world, run), message="it waits for its image")
    world.cancel(run)
    world.wait_for(run, StateType.CANCELLED)
    assert world.ended(run).reason == "Cancelled"
    assert jobs(place) == []


def test_a_run_whose_image_is_not_there_in_time_is_given_up_and_says_what_it_waited_for(
    world: "World", place: Path
) -> None:
    world.agent("-q", "queue", fake_platform=place)
    run = world.run(deploy(world, "slow", prepares_for=600), name="r")
    wait_until(lambda: waits(world, run), message="it waits for its image")
    world.pass_start_limit(run)
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert (state.state_details.reason, state.state_details.phase) == ("StartTimeout", "image")
    assert "It was waiting for the image fake:1 to be fetched." in (state.message or "")
    assert jobs(place) == []


def test_a_run_cancelled_by_force_while_its_platform_is_away_is_stopped_and_tells_its_output_later(
    world: "World", place: Path
) -> None:
    world.agent("-q", "queue", fake_platform=place)
    patient = ["sh", "-c", f"echo it began; touch {world.probes()}/began; sleep 600"]
    block = Fake(command=patient, cancel_timeout=0.5, grace_seconds=0).save("patient")
    run = world.run(world.deploy(GO, infrastructure_document_id=block), name="r")
    wait_until(lambda: (found := world.attempts(run)) and found[-1].handle, message="it has started")
    wait_until((world.probes() / "began").exists)
    with FakeDriver(place).cut():
        world.cancel(run)
        world.wait_for(run, StateType.CANCELLED)
        assert world.ended(run).exit is None
    late = wait_until(lambda: (found := world.attempts(run)[-1]).output_tail and found, 120, "its output is known")
    # shells may add how a program ended that they waited for
    assert late.output_tail is not None
    assert late.output_tail.splitlines()[0] == "it began"
    assert late.exit is not None
    wait_until(lambda: jobs(place) == [], message="what is left of it is removed")


def test_an_agent_killed_while_an_image_is_fetched_starts_the_run_once_when_it_is_back(
    world: "World", place: Path
) -> None:
    agent = world.agent("-q", "queue", "--name", "a", fake_platform=place)
    run = world.run(deploy(world, "slow", prepares_for=600), name="r")
    for _ in range(4):  # more often than a launch may kill its agent
        wait_until(lambda: waits(world, run), message="it waits for its image")
        agent.kill()
        agent.restart()
    FakeDriver(place).finish_preparing()
    world.let("r-go")
    world.wait_for(run, StateType.COMPLETED)
    assert (len(world.attempts(run)), len(world.marked("r"))) == (1, 1)
    assert len(jobs(place)) <= 1


def test_runs_wait_for_a_platform_that_is_down_and_other_platforms_run_meanwhile(world: "World", place: Path) -> None:
    agent = world.agent("-q", "queue", fake_platform=place)
    deployment = deploy(world, "fine")
    with FakeDriver(place).cut():
        taken = world.run(deployment, name="taken")
        wait_until(
            lambda: (found := world.attempts(taken)) and found[-1].unobserved_since, message="its platform is unseen"
        )
        assert world.attempts(taken)[-1].status == "CLAIMED"
        assert "The fake platform does not answer" in explained(world, taken)
        wait_until(lambda: world.client.send(agents.read_agents())[0].away, message="the server knows that it is away")
        waits = world.run(deployment, name="waits")
        local = world.run(world.deploy("@flow\ndef main(): mark('local')\n"))
        world.wait_for(local, StateType.COMPLETED)
        assert world.read(waits).state_type is StateType.SCHEDULED
        words = "It needs fake, whose platform does not answer the agent that could run it: "
        wait_until(lambda: explained(world, waits).startswith(words), message="it is explained")
        assert "The fake platform does not answer" in explained(world, waits)
    for run in (taken, waits):
        world.let(f"{run.parameters['name']}-go")
        world.wait_for(run, StateType.COMPLETED)
        world.ended(run)
        # on a slow machine it may have been given back meanwhile
        assert sum(attempt.handle is not None for attempt in world.attempts(run)) == 1
    assert agent.output.count("The platform of fake jobs does not answer") == 1
    assert agent.output.count("The platform of fake jobs answers again") == 1


def test_a_run_taken_by_an_agent_whose_platform_stays_away_is_run_by_another(world: "World", place: Path) -> None:
    world.agent("-q", "queue", "--name", "cut-off", fake_platform=place)
    with FakeDriver(place).cut():
        run = world.run(deploy(world, "fine"), name="r")
        wait_until(
            lambda: (found := world.attempts(run)) and found[-1].unobserved_since, message="its platform is unseen"
        )
        world.agent("-q", "queue", "--name", "well", fake_platform=place.parent / "other")
        world.let("r-go")
        world.wait_for(run, StateType.COMPLETED)
    assert [attempt.agent_name for attempt in world.attempts(run)] == ["cut-off", "well"]
    assert world.read(run).state is not None
    assert "It is launched again" not in "".join(world.logs(run)), "no retry of the infrastructure was spent"


def test_a_job_is_watched_again_by_the_configuration_that_leads_to_it(world: "World", place: Path) -> None:
    agent = world.agent("-q", "queue", "--name", "a", fake_platform=place)
    run = world.run(deploy(world, "locked", key="OPENS"), name="r")
    world.wait_for(run, StateType.RUNNING)
    wait_until(lambda: world.attempts(run)[-1].handle, message="the agent has told of its job")
    agent.kill()
    agent.restart()
    agent.wait_for_output("is watched again")
    agent.kill()
    # its block has been changed: neither that nor what was kept of the old one has the key
    Fake(command=ENGINE).save("locked", overwrite=True)
    agent.restart()
    words = "The way to this job is not known."
    wait_until(lambda: world.attempts(run)[-1].message == words, message="it is not seen")
    assert world.attempts(run)[-1].unobserved_since is not None
    assert world.read(run).state_type is StateType.RUNNING
    agent.kill()
    Fake(command=ENGINE, key="OPENS").save("locked", overwrite=True)
    agent.restart()
    wait_until(lambda: world.attempts(run)[-1].unobserved_since is None, 120, "it is seen again")
    world.let("r-go")
    world.wait_for(run, StateType.COMPLETED)
    ended = world.ended(run)
    assert (ended.number, ended.exit and ended.exit.code) == (1, 0)


def test_a_job_that_ended_before_its_handle_was_told_is_not_started_again(world: "World", place: Path) -> None:
    with FaultProxy(world.server.api_url) as proxy:
        lost = proxy.add(Fault("cut", method="POST", path="/api/attempts/reports"))
        agent = world.agent("-q", "queue", "--name", "a", env={"PENSTOCK_API_URL": proxy.url}, fake_platform=place)
        run = world.run(deploy(world, "fine"), name="r")
        world.wait_for(run, StateType.RUNNING)
        assert world.attempts(run)[-1].handle is None
        agent.kill()
        proxy.remove(lost)
        [job] = jobs(place)
        (place / job).rename(place / f".{job}")  # somebody removes it, while its process goes on for a moment
        agent.restart()
        attempt = world.ended(run)
    assert (attempt.reason, len(world.attempts(run))) == ("Deleted", 1)
    assert world.read(run).state_type is StateType.CRASHED
    assert len(world.marked("r")) == 1
    world.let("r-go")


def test_an_agent_that_never_saw_a_platform_takes_over_the_jobs_there_that_nobody_looks_after(
    make_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    with make_world(tmp_path / "short", env={"PENSTOCK_AGENT_LEASE_SECONDS": "2"}) as world:
        monkeypatch.setenv("PENSTOCK_API_URL", world.server.api_url)
        first = world.agent("-q", "queue", "--name", "first", fake_platform=place)
        run = world.run(deploy(world, "fine"), name="r")
        world.wait_for(run, StateType.RUNNING)
        first.kill()
        began = world.attempts(run)[-1].number  # a slow machine may let go of a run that it has not started yet
        world.agent("-q", "elsewhere", "--name", "second", fake_platform=place)
        wait_until(lambda: world.attempts(run)[-1].agent_name == "second", 120, "the attempt is taken over")
        world.let("r-go")
        world.wait_for(run, StateType.COMPLETED)
        attempt = world.ended(run)
        assert (attempt.number, attempt.exit and attempt.exit.code) == (began, 0)
