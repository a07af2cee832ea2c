"""How runs in containers end, whoever ends them: the verdict, its reason, the way out, and nothing left behind."""

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from penstock.model.reasons import Phase, Reason
from penstock.model.states import StateType

if TYPE_CHECKING:
    from harbour import Harbour

WAITS = """
    @flow
    def main(name: str):
        mark(name + "-began")
        print("it began", flush=True)
        try:
            wait_for(name + "-go")
        finally:
            mark(name + "-left")
        return 1
"""


@pytest.fixture
def name() -> str:
    return f"n{uuid4().hex[:10]}"


def test_a_run_completes_in_a_container_that_is_removed(harbour: "Harbour", name: str) -> None:
    world = harbour.world
    deployment = harbour.deploy(
        """
        @task
        def double(x):
            return 2 * x

        @flow(log_prints=True)
        def main(name: str):
            get_run_logger().info("before")
            print("printed", double(21), pathlib.Path("/.dockerenv").exists())
            mark(name)
    """,
        block={"auto_remove": True},
    )
    run = world.run(deployment, name=name)
    ended = world.wait_for(run, StateType.COMPLETED)
    assert len(world.marked(name)) == 1
    assert [line for line in world.logs(run) if line in ("before", "printed 42 True")] == ["before", "printed 42 True"]
    attempt = world.ended(run)
    assert (attempt.exit and attempt.exit.code, attempt.reason, attempt.number) == (0, None, 1)
    assert attempt.infrastructure_type == "docker-container"
    assert ended.infrastructure_pid
    harbour.engine.wait_until_gone(run)


def test_a_flow_that_raises_is_failed_and_its_container_stays_to_be_looked_at(harbour: "Harbour") -> None:
    world = harbour.world
    run = world.run(harbour.deploy("@flow\ndef main():\n    raise ValueError('the wrong kind of fish')\n"))
    state = world.wait_for(run, StateType.FAILED).state
    assert state is not None
    assert (state.state_details.phase, state.state_details.reason) == (Phase.RUN, Reason.USER_CODE_RAISED)
    world.ended(run)
    (kept,) = harbour.engine.containers(run)
    assert kept["State"] == "exited"


@pytest.mark.parametrize(
    ("how", "reasons", "signal"),
    [("killed", [Reason.SIGNALLED], 9), ("removed", [Reason.DELETED], None)],
)
def test_a_container_that_somebody_ends_is_a_crash_with_its_reason(
    harbour: "Harbour", name: str, how: str, reasons: list[Reason], signal: int | None
) -> None:
    world, client = harbour.world, harbour.engine.client
    run = world.run(harbour.deploy(WAITS), name=name)
    world.wait_for_mark(f"{name}-began")
    container = harbour.engine.container(run)
    if how == "killed":
        client.kill(container)
    else:
        client.remove_container(container, force=True)
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert state.state_details.phase is Phase.RUN
    assert state.state_details.reason in reasons, world.story(run)
    attempt = world.ended(run)
    assert attempt.number == 1  # user code had begun: it is not begun again
    assert attempt.hint
    if signal is not None:
        assert attempt.exit is not None
        assert attempt.exit.signal == signal
        assert "it began" in (attempt.output_tail or "")
    assert world.marked(f"{name}-left") == []


def test_a_container_without_enough_memory_is_told_from_one_that_was_killed(harbour: "Harbour", name: str) -> None:
    world = harbour.world
    source = """
        @flow
        def main(name: str):
            mark(name)
            held = []
            while True:
                held.append(bytearray(8 * 1024**2))
    """
    run = world.run(harbour.deploy(source, block={"mem_limit": "64m", "memswap_limit": "64m"}), name=name)
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert (state.state_details.phase, state.state_details.reason) == (Phase.RUN, Reason.OUT_OF_MEMORY), world.story(
        run
    )
    assert len(world.marked(name)) == 1
    attempt = world.ended(run)
    assert attempt.exit is not None
    assert attempt.exit.oom
    told = _inspect(harbour, str(run.id))
    assert told["attempts"][-1]["reason"] == "OutOfMemory"
    assert told["attempts"][-1]["hint"]


@pytest.mark.parametrize("polite", [True, False])
def test_a_cancelled_run_is_cancelled_when_its_container_is_gone(harbour: "Harbour", name: str, polite: bool) -> None:
    world = harbour.world
    deaf = "" if polite else "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    source = f"""
        @flow
        def main(name: str):
            {deaf}
            mark(name + "-began")
            try:
                wait_for(name + "-go")
            finally:
                mark(name + "-left")
    """
    run = world.run(harbour.deploy(source, block={"grace_seconds": 2, "auto_remove": True}), name=name)
    world.wait_for_mark(f"{name}-began")
    container = harbour.engine.container(run)
    world.cancel(run)
    world.wait_for(run, StateType.CANCELLED)
    running = [one for one in harbour.engine.containers(run) if one["State"] == "running"]
    assert running == []
    assert len(world.marked(f"{name}-left")) == polite
    harbour.engine.wait_until_gone(run)
    assert container not in [one["Id"] for one in harbour.engine.client.containers(all=True)]


def test_a_container_that_ends_before_user_code_is_launched_again(harbour: "Harbour", name: str) -> None:
    world = harbour.world
    flag = world.probes() / f"{name}-tried"
    once = f"test -e {flag} || {{ echo not yet; touch {flag}; exit 3; }}; exec python -m penstock.engine"
    run = world.run(harbour.deploy(WAITS, block={"command": ["sh", "-c", once]}), name=name)
    world.let(f"{name}-go")
    world.wait_for(run, StateType.COMPLETED)
    world.ended(run)
    first, second = world.attempts(run)
    assert (first.reason, first.exit and first.exit.code) == (Reason.START_FAILED, 3)
    assert "not yet" in (first.output_tail or "")
    assert (second.reason, second.exit and second.exit.code) == (None, 0)
    assert world.marked(f"{name}-left") == world.marked(f"{name}-began")
    assert len(world.marked(f"{name}-began")) == 1


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
        harbour.engine.wait_until_gone(run, timeout=60)


def _inspect(harbour: "Harbour", run_id: str) -> dict[str, list[dict[str, object]]]:
    """What `penstock flow-run inspect` says."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock.cli", "flow-run", "inspect", run_id, "-o", "json"],
        env=harbour.world.server.env,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    return found
