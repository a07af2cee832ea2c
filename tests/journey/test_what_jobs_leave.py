"""What platforms refuse, lose or keep: told in the run and its log, tried again where that helps, cleared away in time."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infrastructure.fake import Fake
from penstock.model.reasons import Reason
from penstock.model.states import StateType
from penstock.testing import wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

ENGINE = [sys.executable, "-m", "penstock.engine"]
ENDS = """
    @flow
    def main(code: int = 0):
        mark("ran")
        print("the last line", flush=True)
        if code:
            os._exit(code)
"""
AGAIN = {"PENSTOCK_INFRA_RETRIES": "1", "PENSTOCK_INFRA_RETRY_DELAY_SECONDS": "0.1"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of the fake platform."""
    return tmp_path / "platform"


def deploy(world: "World", name: str, monkeypatch: pytest.MonkeyPatch, source: str = ENDS, **knobs: Any) -> Any:
    monkeypatch.setenv("PENSTOCK_API_URL", world.server.api_url)
    block = Fake(**{"command": ENGINE, **knobs}).save(name)
    return world.deploy(source, infrastructure_document_id=block)


def left_by(place: Path) -> list[str]:
    """The jobs of which something is left."""
    return [path.name for path in place.iterdir() if not path.name.startswith(".")]


def test_a_refused_start_is_told_in_the_state_the_attempt_and_the_log_of_the_run(
    world: "World", place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.agent("-q", "queue", fake_platform=place)
    refused = deploy(world, "refused", monkeypatch, start_error="always", start_reason=Reason.IMAGE_NOT_FOUND)
    run = world.run(refused)
    crashed = world.wait_for(run, StateType.CRASHED)
    assert crashed.state is not None
    assert crashed.state.state_details.reason == "ImageNotFound"
    assert "The platform refuses to start it." in (crashed.state.message or "")
    attempt = world.ended(run)
    assert (attempt.phase, attempt.reason) == ("start", "ImageNotFound")
    [line] = world.logs(run)
    assert "Attempt 1 ended (ImageNotFound, in phase start): The platform refuses to start it." in line
    assert "push it" in line, "what to do about it"


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"start_error": "always", "start_reason": Reason.IMAGE_PULL_FAILED}, "ImagePullFailed"),
        ({"exit_reason": Reason.NODE_LOST, "exit_signal": 9, "command": None, "runs_for": 0.1}, "NodeLost"),
    ],
    ids=["image-pull-failed", "node-lost"],
)
def test_what_may_go_better_next_time_is_launched_again_within_the_budget(
    make_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knobs: dict[str, Any], reason: str
) -> None:
    with make_world(tmp_path / "world", env=AGAIN) as world:
        world.agent("-q", "queue", fake_platform=tmp_path / "platform")
        run = world.run(deploy(world, "again", monkeypatch, **knobs))
        world.wait_for(run, StateType.CRASHED)
        assert [attempt.reason for attempt in world.attempts(run)] == [reason, reason]
        again, given_up = world.logs(run)
        assert "It is launched again" in again
        assert "It was launched 2 times." in given_up


def test_a_configuration_that_wants_nothing_kept_has_its_failed_jobs_removed_once_their_output_is_safe(
    world: "World", place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.agent("-q", "queue", fake_platform=place)
    run = world.run(deploy(world, "goes", monkeypatch, keep=False), code=3)
    world.wait_for(run, StateType.CRASHED)
    wait_until(lambda: not left_by(place), message="the job is removed")
    attempt = world.ended(run)
    assert attempt.exit is not None
    assert attempt.exit.code == 3
    assert "the last line" in (attempt.output_tail or "")


def test_a_configuration_that_wants_jobs_kept_has_even_the_good_ones_left_alone(
    world: "World", place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.agent("-q", "queue", fake_platform=place)
    kept = world.run(deploy(world, "stays", monkeypatch, keep=True))
    world.wait_for(kept, StateType.COMPLETED)
    world.ended(kept)
    plain = world.run(deploy(world, "plain", monkeypatch))
    world.wait_for(plain, StateType.COMPLETED)
    job = world.ended(plain).job_name
    wait_until(lambda: job not in left_by(place), message="the other job is removed")
    assert left_by(place) == [world.attempts(kept)[0].job_name]


def test_an_agent_that_leaves_does_not_wait_for_what_its_platform_holds_up(
    world: "World", place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = world.agent("-q", "queue", fake_platform=place)
    run = world.run(deploy(world, "slow", monkeypatch, prepares_for=600))
    wait_until(lambda: (found := world.attempts(run)) and found[-1].waiting_for, message="it waits for its image")
    agent.terminate()
    assert agent.wait(120) == 0
