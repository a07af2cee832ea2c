"""However a run ends from the inside, or is made to end: all of its runs have the right last state, and the process ends.

The flows are those of `ends_inside_flows.py`, run as a program (``python flow.py``) and as the job of a deployment.
"""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from penstock.client import deployments, flow_runs, flows, task_runs
from penstock.engine import job
from penstock.model.deployments import DeploymentCreate
from penstock.model.flows import FlowCreate
from penstock.model.reasons import Reason
from penstock.model.states import StateCreate, StateType
from penstock.testing import wait_until

SOURCE = Path(__file__).with_name("ends_inside_flows.py")
#: No process of these may need longer; most need half a second, and those that time out the seconds for that.
AT_MOST = 240


class Ended:
    """A process that ran a flow, and what the server knows of its runs."""

    def __init__(self, world, key, flow_run_id, code, output):
        self.world, self.key, self.code, self.output = world, key, code, output
        self.run = world.read(flow_run_id)
        self.runs = {f"flow {self.run.name}": self.run}
        self._add_children(self.run)

    def _add_children(self, run):
        only = {"id": {"any_": [str(run.id)]}}
        for task_run in self.world.client.send(task_runs.read_task_runs(flow_run_filter=only)):
            name = task_run.name.replace(f"-{self.key}", "")
            self.runs[name] = task_run
            child_id = task_run.state.state_details.child_flow_run_id if task_run.state else None
            if child_id is not None:
                child = self.world.read(child_id)
                self.runs[f"flow {name}"] = child
                self._add_children(child)

    def state(self, name=None):
        run = self.run if name is None else self.runs[name]
        return run.state_name, run.state.state_details.reason

    def message(self, name=None):
        return (self.run if name is None else self.runs[name]).state.message or ""

    def story(self):
        return "\n".join(
            [f"{name}: {run.state}" for name, run in self.runs.items()] + [f"exit {self.code}", self.output]
        )


class Inside:
    """Runs the flows. `key` tells the marks of one process from those of others."""

    def __init__(self, world, as_job=False, **env):
        self.world, self.as_job, self.key = world, as_job, uuid4().hex[:12]
        self.env = {**world.server.env, "KEY": self.key, "PROBES": str(world.probes()), **env}
        self.run_id: UUID | None = None

    def start(self, case):
        command = [sys.executable, str(SOURCE), case]
        if self.as_job:
            command = [sys.executable, "-m", "penstock.engine"]
            self.env["PENSTOCK__FLOW_RUN_ID"] = str(self._deployed_run(case))
        self.process = subprocess.Popen(
            command, env=self.env, cwd=SOURCE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self

    def _deployed_run(self, case):
        flow = self.world.client.send(flows.create_flow(FlowCreate(name=f"deployed-{self.key}")))
        deployment = DeploymentCreate(
            name="deployed", flow_id=flow.id, path=str(SOURCE.parent), entrypoint=f"{SOURCE.name}:{case}"
        )
        made = self.world.client.send(deployments.create_deployment(deployment))
        self.run_id = self.world.run(made).id
        return self.run_id

    def marked(self, name):
        self.world.wait_for_mark(f"{self.key}-{name}")
        return self

    def send(self, number):
        self.process.send_signal(number)
        return self

    def cancel(self, name=None):
        """Cancel the run, or the subflow run of that flow inside of it."""
        run = self.world.read(self._id()) if name is None else self._subflow_run(name)
        self.world.client.send(flow_runs.set_flow_run_state(run.id, StateCreate(type=StateType.CANCELLING)))
        return self

    def _subflow_run(self, name):
        (run,) = self.world.client.read_flow_runs(flow_filter={"name": {"any_": [f"{name}-{self.key}"]}})
        return run

    def _id(self):
        if self.run_id is None:
            only = {"name": {"any_": [f"run-{self.key}"]}}
            (run,) = wait_until(lambda: self.world.client.read_flow_runs(flow_run_filter=only), AT_MOST)
            self.run_id = run.id
        return self.run_id

    def end(self):
        try:
            output = self.process.communicate(timeout=AT_MOST)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it hangs:\n{self.process.communicate()[0]}") from None
        return Ended(self.world, self.key, self._id(), self.process.returncode, output)


EXITED, SIGNALLED, RAISED, UNKNOWN = Reason.EXITED, Reason.SIGNALLED, Reason.USER_CODE_RAISED, Reason.UNKNOWN
FLOW_TIMED_OUT, TASK_TIMED_OUT, CANCELLED = Reason.FLOW_TIMED_OUT, Reason.TASK_TIMED_OUT, Reason.CANCELLED
FAILED, DONE = ("Failed", RAISED), ("Completed", None)

#: case -> (exit code of the program, of the job, state of the flow run, words of its message, states of other runs)
BY_ITSELF = {
    "memory": (1, 1, FAILED, "MemoryError", {}),
    "recursion": (1, 1, FAILED, "RecursionError", {}),
    "exit_0": (0, 1, ("Crashed", EXITED), "sys.exit(0)", {}),
    "exit_3": (3, 1, ("Crashed", EXITED), "sys.exit(3)", {}),
    "base_exception": (1, 1, ("Crashed", UNKNOWN), "Halt: enough", {}),
    "exit_in_task": (3, 1, ("Crashed", EXITED), "sys.exit(3)", {"leave-0": ("Crashed", EXITED)}),
    "exit_in_thread": (1, 1, FAILED, "RunCrashed", {"leave-0": ("Crashed", EXITED)}),
    "exit_in_thread_is_caught": (0, 0, DONE, "", {"leave-0": ("Crashed", EXITED)}),
    "exit_in_subflow": (3, 1, ("Crashed", EXITED), "sys.exit(3)",
                        {"leaving-0": ("Crashed", EXITED), "flow leaving-0": ("Crashed", EXITED)}),
    "errors_in_threads": (1, 1, ("Failed", RAISED), "4/5", {
        "memory_task-0": FAILED, "recursion_task-0": FAILED, "base_task-0": ("Crashed", UNKNOWN),
        "interrupt_task-0": ("Crashed", SIGNALLED), "fine-0": DONE}),
    "async_exit": (3, 1, ("Crashed", EXITED), "sys.exit(3)", {}),
    "async_exit_in_task": (1, 1, FAILED, "RunCrashed", {"leave_async-0": ("Crashed", EXITED), "fine_async-0": DONE}),
    "async_memory": (1, 1, FAILED, "MemoryError", {}),
    "async_cancelled": (1, 1, ("Crashed", UNKNOWN), "cancelled", {}),
    "async_task_cancelled": (1, 1, FAILED, "RunCrashed", {"cancelled_task-0": ("Crashed", UNKNOWN)}),
    "async_stray_exit": (3, 1, ("Crashed", UNKNOWN), "cancelled", {}),
    "sync_calls_async_exit": (1, 1, FAILED, "RunCrashed",
                              {"leave_async-0": ("Crashed", EXITED), "fine_async-0": DONE}),
    "raising_hook": (1, 1, FAILED, "ValueError: the flow", {}),
    "stuck_task_times_out": (0, 0, DONE, "", {"stuck-0": ("TimedOut", TASK_TIMED_OUT), "fine-0": DONE}),
    "stuck_task_is_retried": (0, 0, DONE, "", {"stuck_once-0": DONE}),
    "flow_times_out_with_stuck_task": (1, 1, ("TimedOut", FLOW_TIMED_OUT), "6 s",
                                       {"hang-0": ("Crashed", SIGNALLED)}),
    "thread_is_left": (0, 0, DONE, "", {}),
}  # fmt: skip

#: Those that also run as the jobs of deployments: one of each kind.
AS_JOBS = [
    "exit_0", "exit_in_thread", "exit_in_subflow", "async_exit", "async_stray_exit", "base_exception", "async_cancelled",
]  # fmt: skip


@pytest.fixture(scope="module")
def by_themselves(shared_world):
    """All that end by themselves, some at a time. First those that mostly wait."""

    def end(case, as_job):
        return Inside(shared_world, as_job=as_job).start(case).end()

    waiting = [case for case in BY_ITSELF if "stuck" in case]
    cases = [(case, False) for case in dict.fromkeys([*waiting, *BY_ITSELF])] + [(case, True) for case in AS_JOBS]
    with ThreadPoolExecutor(4) as threads:
        yield {case: threads.submit(end, *case) for case in cases}
        threads.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("case", "as_job"), [(case, False) for case in BY_ITSELF] + [(case, True) for case in AS_JOBS])
def test_a_run_that_ends_by_itself_says_how_and_so_do_all_in_it(by_themselves, case, as_job):
    code_of_program, code_of_job, state, words, others = BY_ITSELF[case]
    ended = by_themselves[case, as_job].result()
    assert ended.code == (code_of_job if as_job else code_of_program), ended.story()
    assert ended.state() == state, ended.story()
    assert words in ended.message()
    assert {name: ended.state(name) for name in others} == others, ended.story()


def test_code_that_no_timeout_can_interrupt_is_named_in_the_log(by_themselves):
    ended = by_themselves["stuck_task_times_out", False].result()
    assert any("cannot be interrupted" in line for line in ended.world.logs(ended.run))


#: case -> (signal, exit code, reason, states of other runs)
INTERRUPTED = ("Crashed", SIGNALLED)
SIGNALS = {
    ("waiting", signal.SIGINT): (-signal.SIGINT, INTERRUPTED),
    ("waiting", signal.SIGTERM): (job.TERMINATED, INTERRUPTED),
    ("in_a_task", signal.SIGINT): (-signal.SIGINT, INTERRUPTED),
    ("in_a_task", signal.SIGTERM): (job.TERMINATED, INTERRUPTED),
    ("waiting_async", signal.SIGINT): (-signal.SIGINT, INTERRUPTED),
    ("waiting_async", signal.SIGTERM): (job.TERMINATED, INTERRUPTED),
    ("waiting_for_async", signal.SIGINT): (-signal.SIGINT, INTERRUPTED),
    ("with_a_stuck_thread", signal.SIGINT): (-signal.SIGINT, INTERRUPTED),
    ("with_a_stuck_thread", signal.SIGTERM): (job.TERMINATED, INTERRUPTED),
}


#: Each in a program and in a job, but for those that take the seconds which a stuck thread is given.
SENT = [(*sent, as_job) for sent in SIGNALS for as_job in (False, True) if sent[0] != "with_a_stuck_thread"] + [
    ("with_a_stuck_thread", signal.SIGINT, False),
    ("with_a_stuck_thread", signal.SIGTERM, True),
]


@pytest.mark.parametrize(("case", "number", "as_job"), SENT)
def test_a_signal_ends_the_run_and_all_in_it(shared_world, case, number, as_job):
    code, state = SIGNALS[case, number]
    ended = Inside(shared_world, as_job).start(case).marked("started").send(number).end()
    assert ended.code == code, ended.story()
    assert ended.state() == state, ended.story()
    assert len(ended.runs) > 1
    assert {name: run.state_name for name, run in ended.runs.items() if run.state_name != "Crashed"} == {}, (
        ended.story()
    )
    assert {name: ended.state(name) for name in ended.runs if ended.state(name)[1] is not SIGNALLED} == {}, (
        ended.story()
    )
    if case != "with_a_stuck_thread":
        ended.world.wait_for_mark(f"{ended.key}-cleaned")


@pytest.mark.parametrize("case", ["sleeping", "waiting", "waiting_async", "waiting_for_async"])
def test_a_program_whose_run_is_cancelled_is_stopped_wherever_it_waits(shared_world, case):
    inside = Inside(shared_world).start(case).marked("started")
    ended = inside.cancel().end()
    assert ended.code == 1
    assert "RunCancelled" in ended.output, ended.story()
    assert ended.state() == ("Cancelled", CANCELLED), ended.story()
    assert {name: run.state_name for name, run in ended.runs.items() if run.state_name != "Cancelled"} == {}, (
        ended.story()
    )


@pytest.mark.parametrize("as_job", [False, True], ids=["program", "job"])
@pytest.mark.parametrize("case", ["outer", "outer_async"])
def test_a_subflow_run_that_is_cancelled_leaves_its_parent_to_go_on(shared_world, case, as_job):
    inside = Inside(shared_world, as_job).start(case).marked("started")
    ended = inside.cancel("middle").end()
    assert ended.code == 0, ended.story()
    assert ended.state() == DONE, ended.story()
    for name in ("middle-0", "flow middle-0", "inner-0", "flow inner-0"):
        assert ended.state(name)[0] == "Cancelled", ended.story()
    assert ended.world.marked(f"{inside.key}-went on") == ["RunCancelled"]


@pytest.mark.parametrize("as_job", [False, True], ids=["program", "job"])
def test_hooks_are_called_when_a_run_is_stopped(shared_world, as_job):
    inside = Inside(shared_world, as_job).start("hooked").marked("started").send(signal.SIGTERM)
    ended = inside.end()
    assert ended.code == job.TERMINATED, ended.story()
    assert ended.world.marked(f"{inside.key}-hook") == ["crashed"]
    inside = Inside(shared_world, as_job).start("hooked").marked("started").cancel()
    ended = inside.end()
    assert ended.world.marked(f"{inside.key}-hook") == ["cancelled"], ended.story()


def test_a_job_does_not_wait_for_ever_for_threads_that_its_flow_has_left(shared_world):
    ended = Inside(shared_world, as_job=True, PENSTOCK_JOB_EXIT_SECONDS="0.5").start("endless_thread_is_left").end()
    assert ended.code == 0
    assert ended.state() == DONE
    assert "the-users-thread" in ended.output
    assert "the process ends without it" in ended.output


def test_a_job_that_is_told_to_end_does_not_wait_for_threads_of_its_event_loop_that_hang(shared_world):
    ended = (
        Inside(shared_world, as_job=True).start("stuck_beside_the_loop").marked("started").send(signal.SIGTERM).end()
    )
    assert ended.code == job.TERMINATED, ended.story()
    assert ended.state() == INTERRUPTED
    assert "the process ends without it" in ended.output
