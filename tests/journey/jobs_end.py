"""What becomes of a flow run whose job a platform runs, whoever ends it: the same on every platform that has a place."""

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pytest

from penstock.model.deployments import Deployment
from penstock.model.flow_runs import FlowRun
from penstock.model.reasons import Phase, Reason
from penstock.model.states import StateType
from penstock.testing import wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

#: It begins, waits until it is let go, and tells when it leaves.
WAITS = """
    @flow
    def main(name: str):
        try:
            mark(name + "-began")
            print("it began", flush=True)
            wait_for(name + "-go")
        finally:
            mark(name + "-left")
        return 1
"""


class Place(Protocol):
    """Where jobs run: a world whose agent launches them there, and the platform's own view of them."""

    #: the type of its blocks
    TYPE: ClassVar[str]
    #: an expression that is true in a job of the platform and nowhere else
    INSIDE: ClassVar[str]
    #: fields of a block whose runs leave nothing behind, however they end
    TIDY: ClassVar[dict[str, Any]]
    #: what is kept of a failed run, to be looked at
    KEPT: ClassVar[list[str]]

    @property
    def world(self) -> "World": ...

    def deploy(self, source: str, *, queue: str = "queue", block: dict[str, Any] | None = None) -> Deployment:
        """A deployment of `source`, whose jobs see the folder of the world; `block`: further fields of its block."""
        ...

    def memory(self, mebibytes: int) -> dict[str, Any]:
        """The block's fields for a job that may use so much memory."""
        ...

    def remove(self, run: FlowRun) -> None:
        """Do what somebody does who removes the run's job by the platform's own means while it runs."""
        ...

    def alive(self, run: FlowRun) -> list[str]:
        """What of the run still executes, or may."""
        ...

    def left(self, run: FlowRun) -> list[str]:
        """What the platform has of the run, whatever its state, as sorted words."""
        ...

    def wait_until_gone(self, run: FlowRun) -> None:
        """Return when the platform has nothing of the run any more."""
        ...


class JobsEnd:
    """To be inherited by a platform's tests, beside which a fixture `place` gives them theirs."""

    def test_a_run_completes_and_nothing_is_left_of_its_job(self, place: Place, name: str) -> None:
        world = place.world
        source = f"""
            @task
            def double(x):
                return 2 * x

            @flow(log_prints=True)
            def main(name: str):
                get_run_logger().info("before")
                print("printed", double(21), {place.INSIDE})
                mark(name)
        """
        run = world.run(place.deploy(source, block=place.TIDY), name=name)
        world.wait_for(run, StateType.COMPLETED)
        assert len(world.marked(name)) == 1
        said = [line for line in world.logs(run) if line in ("before", "printed 42 True")]
        assert said == ["before", "printed 42 True"]
        attempt = world.ended(run)
        assert (attempt.exit and attempt.exit.code, attempt.reason, attempt.number) == (0, None, 1)
        assert attempt.infrastructure_type == place.TYPE
        assert world.read(run).infrastructure_pid  # told by the agent, which the run may overtake
        place.wait_until_gone(run)

    def test_a_flow_that_fails_is_tried_again_in_its_job_and_at_last_failed_with_its_traceback(
        self, place: Place, name: str
    ) -> None:
        world = place.world
        source = """
            @flow(retries=1)
            def main(name: str, wanted: int):
                mark(name)
                if len((PROBES / name).read_text().split()) < wanted:
                    raise ValueError("the wrong kind of fish")
        """
        deployment = place.deploy(source)
        good, bad = world.run(deployment, name=f"{name}-2", wanted=2), world.run(deployment, name=f"{name}-3", wanted=3)
        world.wait_for(good, StateType.COMPLETED)
        state = world.wait_for(bad, StateType.FAILED).state
        assert state is not None
        assert (state.state_details.phase, state.state_details.reason) == (Phase.RUN, Reason.USER_CODE_RAISED)
        assert "the wrong kind of fish" in (state.message or "")
        said = "\n".join(world.logs(bad))
        assert "Traceback" in said
        assert 'raise ValueError("the wrong kind of fish")' in said
        for run in (good, bad):
            world.ended(run)
            assert [attempt.number for attempt in world.attempts(run)] == [1]
            assert len(world.marked(str(run.parameters["name"]))) == 2
        assert place.alive(bad) == []
        assert place.left(bad) == place.KEPT

    def test_a_job_that_ends_before_user_code_is_launched_again(self, place: Place, name: str) -> None:
        world = place.world
        flag = world.probes() / f"{name}-tried"
        once = f"test -e {flag} || {{ echo not yet; touch {flag}; exit 3; }}; exec python -m penstock.engine"
        run = world.run(place.deploy(WAITS, block={"command": ["sh", "-c", once]}), name=name)
        world.let(f"{name}-go")
        world.wait_for(run, StateType.COMPLETED)
        world.ended(run)
        first, second = world.attempts(run)
        assert (first.reason, first.exit and first.exit.code) == (Reason.START_FAILED, 3)
        assert "not yet" in (first.output_tail or "")
        assert (second.reason, second.exit and second.exit.code) == (None, 0)
        assert len(world.marked(f"{name}-began")) == len(world.marked(f"{name}-left")) == 1

    def test_a_job_without_enough_memory_is_told_from_one_that_was_killed(self, place: Place, name: str) -> None:
        world = place.world
        source = """
            @flow
            def main(name: str):
                mark(name)
                held = []
                while True:
                    held.append(bytearray(8 * 1024**2))
        """
        run = world.run(place.deploy(source, block=place.memory(64)), name=name)
        state = world.wait_for(run, StateType.CRASHED).state
        assert state is not None
        found = (state.state_details.phase, state.state_details.reason)
        assert found == (Phase.RUN, Reason.OUT_OF_MEMORY), world.story(run)
        assert len(world.marked(name)) == 1
        attempt = world.ended(run)
        assert attempt.exit is not None
        assert attempt.exit.oom
        told = _inspect(world, run)
        assert told["attempts"][-1]["reason"] == "OutOfMemory"
        assert told["attempts"][-1]["hint"]

    def test_a_child_that_the_kernel_kills_for_memory_is_told_with_the_flows_failure(
        self, place: Place, name: str
    ) -> None:
        world = place.world
        source = """
            import subprocess, sys

            @flow
            def main(name: str):
                # the child, and not the flow, is the kernel's first choice
                greedy = "open('/proc/self/oom_score_adj', 'w').write('1000'); b'x' * 2**30"
                subprocess.run([sys.executable, "-c", greedy], check=True)
        """
        run = world.run(place.deploy(source, block=place.memory(96)), name=name)
        state = world.wait_for(run, StateType.FAILED).state
        assert state is not None
        assert "SIGKILL" in (state.message or ""), world.story(run)
        told = "The kernel killed a process of this container for lack of memory, whose limit is 96 MiB"
        assert (state.state_details.hint or "").startswith(told)
        assert told in world.logs(run)

    def test_a_job_that_somebody_removes_is_a_crash_and_no_other_runs_the_flow_again(
        self, place: Place, name: str
    ) -> None:
        world = place.world
        run = world.run(place.deploy(WAITS), name=name)
        world.wait_for_mark(f"{name}-began")
        place.remove(run)
        state = world.wait_for(run, StateType.CRASHED).state
        assert state is not None
        assert state.state_details.phase is Phase.RUN
        attempt = world.ended(run)
        assert attempt.reason is Reason.DELETED, world.story(run)
        assert attempt.number == 1  # user code had begun: it is not begun again
        assert attempt.hint
        wait_until(lambda: not place.alive(run), 240, "nothing of the run goes on")
        assert len(world.marked(f"{name}-began")) == 1

    @pytest.mark.parametrize("polite", [True, False], ids=["polite", "deaf"])
    def test_a_cancelled_run_is_cancelled_when_its_job_has_ended(self, place: Place, name: str, polite: bool) -> None:
        world = place.world
        deaf = "" if polite else "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
        grace = 60 if polite else 2  # who leaves by itself is not hurried, however busy the machine
        source = f"""
            @flow
            def main(name: str):
                {deaf}
                try:
                    mark(name + "-began")
                    wait_for(name + "-go")
                finally:
                    mark(name + "-left")
        """
        run = world.run(place.deploy(source, block={"grace_seconds": grace, **place.TIDY}), name=name)
        world.wait_for_mark(f"{name}-began")
        world.cancel(run)
        world.wait_for(run, StateType.CANCELLED)
        assert place.alive(run) == []
        assert len(world.marked(f"{name}-left")) == polite
        place.wait_until_gone(run)


def _inspect(world: "World", run: FlowRun) -> dict[str, list[dict[str, object]]]:
    """What `penstock flow-run inspect` says."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock.cli", "flow-run", "inspect", str(run.id), "-o", "json"],
        env=world.server.env,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    return found
