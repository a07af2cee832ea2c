"""How runs of a deployment end, and what is known of each end: phase, reason, words, log, last output."""

import os
import signal
from typing import TYPE_CHECKING

import pytest
from freezing import freeze

from penstock.model.reasons import Phase, Reason
from penstock.model.states import StateType
from penstock.testing import wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World


def test_a_run_completes_and_its_log_result_and_exit_are_known(shared_world: "World") -> None:
    world = shared_world
    deployment = world.deploy("""
        @task
        def double(x):
            return 2 * x

        @flow(log_prints=True)
        def main(x: int = 1):
            get_run_logger().info("before")
            print("printed", double(x))
            mark("completes", x)
    """)
    run = world.run(deployment, x=21)
    world.wait_for(run, StateType.COMPLETED)
    assert world.marked("completes") == ["21"]
    assert world.states(run)[-3:] == ["Pending", "Running", "Completed"]
    lines = world.logs(run)
    assert [line for line in lines if line in ("before", "printed 42")] == ["before", "printed 42"]
    attempt = world.ended(run)
    assert (attempt.exit and attempt.exit.code, attempt.reason, attempt.number) == (0, None, 1)
    assert attempt.agent_name == "shared"
    pid = world.read(run).infrastructure_pid  # told by the agent, which the run may overtake
    assert pid
    assert pid.endswith(f":{attempt.handle and attempt.handle['data']['pid']}")


def test_a_flow_that_raises_is_failed_with_its_traceback_in_the_log(shared_world: "World") -> None:
    world = shared_world
    deployment = world.deploy("""
        def inner():
            raise ValueError("the wrong kind of fish")

        @flow
        def main():
            inner()
    """)
    run = world.run(deployment)
    state = world.wait_for(run, StateType.FAILED).state
    assert state is not None
    assert "the wrong kind of fish" in (state.message or "")
    assert (state.state_details.phase, state.state_details.reason) == (Phase.RUN, Reason.USER_CODE_RAISED)
    log = "\n".join(world.logs(run))
    assert "Traceback" in log
    assert "in inner" in log
    attempt = world.ended(run)
    assert (attempt.phase, attempt.reason) == (Phase.RUN, Reason.USER_CODE_RAISED)


FINE = """
    @flow
    def main():
        mark("never")
"""


@pytest.mark.parametrize(
    ("source", "entrypoint", "phase", "reason", "words"),
    [
        pytest.param(FINE, "code.py:mian", Phase.IMPORT, Reason.FLOW_NOT_FOUND, "main", id="wrong-name"),
        pytest.param(FINE, "cdoe.py:main", Phase.CODE, Reason.CODE_NOT_FOUND, "cdoe.py", id="missing-file"),
        pytest.param(
            "def main(:\n    pass", "code.py:main", Phase.IMPORT, Reason.IMPORT_FAILED, "SyntaxError", id="syntax"
        ),
        pytest.param(
            "import no_such_module_here",
            "code.py:main",
            Phase.IMPORT,
            Reason.IMPORT_FAILED,
            "no_such_module_here",
            id="import",
        ),
        pytest.param("main = 3", "code.py:main", Phase.IMPORT, Reason.FLOW_NOT_FOUND, "main", id="something-else"),
        pytest.param(
            "@flow\ndef main(x: int):\n    mark('never')",
            "code.py:main",
            Phase.PARAMETERS,
            Reason.PARAMETERS_INVALID,
            "x",
            id="parameters",
        ),
    ],
)
def test_code_that_cannot_be_run_says_where_and_why_and_nothing_of_it_runs(
    shared_world: "World", source: str, entrypoint: str, phase: Phase, reason: Reason, words: str
) -> None:
    world = shared_world
    run = world.run(world.deploy(source, entrypoint=entrypoint))
    state = world.wait_for(run, StateType.FAILED).state
    assert state is not None
    assert (state.state_details.phase, state.state_details.reason) == (phase, reason)
    assert words in (state.message or "") + "\n".join(world.logs(run))
    attempt = world.ended(run)
    assert (attempt.phase, attempt.reason) == (phase, reason)
    assert attempt.exit is not None
    assert attempt.exit.code
    assert world.marked("never") == []
    assert len(world.attempts(run)) == 1, "code that is wrong is not tried again"


def test_a_process_that_just_leaves_is_crashed_with_its_exit_code_and_last_output(shared_world: "World") -> None:
    world = shared_world
    deployment = world.deploy("""
        @flow
        def main():
            sys.stderr.write("these were my last words\\n")
            sys.stderr.flush()
            os._exit(3)
    """)
    run = world.run(deployment)
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert state.state_details.reason is Reason.EXITED
    assert "3" in (state.message or "")
    attempt = world.ended(run)
    assert (attempt.phase, attempt.reason) == (Phase.RUN, Reason.EXITED)
    assert attempt.exit is not None
    assert (attempt.exit.code, attempt.exit.signal) == (3, None)
    assert "these were my last words" in (attempt.output_tail or "")


def test_a_process_that_is_killed_is_crashed_by_name_of_the_signal(shared_world: "World") -> None:
    world = shared_world
    deployment = world.deploy("""
        @flow
        def main():
            mark("victim")
            wait_for("never-comes")
    """)
    run = world.run(deployment)
    pid = int(world.wait_for_mark("victim")[0])
    os.kill(pid, signal.SIGKILL)
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert state.state_details.reason is Reason.SIGNALLED
    assert "SIGKILL" in (state.message or "")
    attempt = world.ended(run)
    assert attempt.exit is not None
    assert (attempt.exit.code, attempt.exit.signal) == (None, signal.SIGKILL)


def test_a_process_that_is_stopped_for_a_while_is_no_dead_process(shared_world: "World") -> None:
    world = shared_world
    deployment = world.deploy("""
        @flow
        def main():
            mark("frozen")
            wait_for("thaw")
    """)
    run = world.run(deployment)
    pid = int(world.wait_for_mark("frozen")[0])
    world.wait_for(run, StateType.RUNNING)
    freeze(pid)
    try:
        before = world.attempts(run)[0].lease_expires_at
        # long enough for several looks at it
        wait_until(lambda: world.attempts(run)[0].lease_expires_at != before, 120)
        assert world.read(run).state_type is StateType.RUNNING
        assert world.attempts(run)[0].status == "RUNNING"
    finally:
        os.kill(pid, signal.SIGCONT)
    world.let("thaw")
    world.wait_for(run, StateType.COMPLETED)
    assert len(world.attempts(run)) == 1


def test_a_deployment_whose_overrides_are_wrong_fails_before_anything_starts(shared_world: "World") -> None:
    world = shared_world
    run = world.run(world.deploy(FINE, infra_overrides={"wroking_dir": "/tmp"}))
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert (state.state_details.phase, state.state_details.reason) == (Phase.RENDER, Reason.CONFIGURATION_INVALID)
    assert "working_dir" in (state.message or ""), "the nearest right name is told"
    attempt = world.ended(run)
    assert (attempt.handle, attempt.exit, attempt.number) == (None, None, 1)


def test_a_command_that_does_not_exist_is_a_start_that_failed_and_says_so(shared_world: "World") -> None:
    world = shared_world
    run = world.run(world.deploy(FINE, infra_overrides={"command": ["no-such-program-here"]}))
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert state.state_details.reason is Reason.COMMAND_NOT_FOUND
    assert "no-such-program-here" in (state.message or "")
    assert world.ended(run).handle is None


def test_a_job_gets_what_its_overrides_say_and_not_what_belongs_to_the_agent(shared_world: "World") -> None:
    world = shared_world
    deployment = world.deploy(
        """
        @flow
        def main():
            mark("where", os.getcwd())
            mark("given", os.environ["GIVEN"])
            mark("key", os.environ.get("PENSTOCK_API_KEY", "none"))
    """,
        infra_overrides={"env.GIVEN": "value", "env": {"PENSTOCK_LOGGING_LEVEL": "WARNING"}},
    )
    world.wait_for(world.run(deployment), StateType.COMPLETED)
    assert world.marked("where") == [deployment.path]
    assert world.marked("given") == ["value"]
    assert world.marked("key") == ["none"]
