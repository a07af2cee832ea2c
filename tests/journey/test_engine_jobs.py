"""The engine as the program that runs in every job: started here the way a launcher starts it."""

import signal
import subprocess
import sys
from uuid import UUID, uuid4

import pytest

from penstock import clock
from penstock.client import attempts
from penstock.engine import job
from penstock.model.attempts import AgentPoll, AttemptReport, AttemptReports, Exit, Intent, Observation
from penstock.model.reasons import Phase, Reason
from penstock.testing import wait_until

ENGINE = [sys.executable, "-m", "penstock.engine"]


class Job:
    """A run of `source` that was claimed by us, an agent by hand, and its engine process."""

    def __init__(self, world, source, parameters=None, **deployment):
        self.world = world
        queue = f"queue-{uuid4().hex[:8]}"
        self.run = world.run(world.deploy(source, queue=queue, **deployment), **(parameters or {}))
        self.agent_id = uuid4()
        reach = f"reach-{queue}"  # so that nobody takes the attempt over when its lease has run out
        poll = AgentPoll(
            agent_id=self.agent_id,
            request_id=uuid4(),
            name=f"agent-{queue}",
            work_queues=[queue],
            wait_seconds=5,
            reaches=[reach],
        )
        self.claim = wait_until(lambda: world.client.send(attempts.poll(poll)).claims)[0]
        intent = Intent(agent_id=self.agent_id, job_name=f"job-{queue}", reach=reach, infrastructure_type="process")
        world.client.send(attempts.write_intent(self.claim.attempt.id, intent))
        self.cwd = world.folder / f"cwd-{uuid4().hex[:8]}"
        self.cwd.mkdir()
        self.process = None

    @property
    def env(self):
        return {
            **self.world.server.env,
            "PENSTOCK__FLOW_RUN_ID": self.run.id.hex,
            "PENSTOCK__ATTEMPT_ID": str(self.claim.attempt.id),
            "PENSTOCK__ATTEMPT_TOKEN": self.claim.token,
        }

    def start(self, **env):
        self.process = subprocess.Popen(
            ENGINE,
            env={**self.env, **env},
            cwd=self.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def end(self):
        """Exit code and output, once it has ended."""
        try:
            self.output, _ = self.process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(self.process.communicate()[0]) from None
        return self.process.returncode

    def read(self):
        return self.world.read(self.run)

    def report_ended(self):
        """Fence the attempt: the agent says that it could not be started and that nothing is left."""
        report = AttemptReport(
            attempt_id=self.claim.attempt.id,
            agent_id=self.agent_id,
            failure=True,
            gone=True,
            phase=Phase.START,
            reason=Reason.CONFIGURATION_INVALID,
            message="fenced by the test",
        )
        self.world.client.send(attempts.send_attempt_reports(AttemptReports(reports=[report])))


@pytest.fixture
def make_job(shared_world):
    made = []

    def make(source, parameters=None, **deployment):
        made.append(Job(shared_world, source, parameters, **deployment))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def test_a_completed_run_ends_with_zero(make_job):
    job_ = make_job(
        """
        @task
        def double(x):
            return 2 * x

        @flow(log_prints=True, flow_run_name="of {n}")
        def main(n: int, extra: list[int] = []):
            print("sum", double(n) + sum(extra), sys.argv[0][-11:], os.getcwd() == str(pathlib.Path(__file__).parent))
        """,
        {"n": "20", "extra": [2]},
    ).start()
    assert job_.end() == job.COMPLETED, job_.output
    run = job_.read()
    assert (run.state_name, run.name) == ("Completed", "of 20")
    assert job_.world.states(run)[-2:] == ["Running", "Completed"]
    assert "sum 42 __main__.py True" in job_.world.logs(run)


@pytest.mark.parametrize(
    "body",
    [
        "async def main():\n    await asyncio.sleep(0)\n    raise ValueError('no')",
        "def main():\n    raise ValueError('no')",
    ],
    ids=["async", "sync"],
)
def test_a_failed_run_ends_with_one_and_says_why(make_job, body):
    job_ = make_job("import asyncio\n@flow\n" + body + "\n").start()
    assert job_.end() == job.ENDED_OTHERWISE, job_.output
    run = job_.read()
    assert (run.state_name, run.state.message) == ("Failed", "ValueError: no")
    assert any("Traceback" in message for message in job_.world.logs(run))


FAILURES = {
    "syntax": ("def main(:\n", {}, "code.py:main", Phase.IMPORT, Reason.IMPORT_FAILED, "SyntaxError"),
    "import": ("import not_there\n", {}, "code.py:main", Phase.IMPORT, Reason.IMPORT_FAILED, "not_there"),
    "exit": ("raise SystemExit(0)\n", {}, "code.py:main", Phase.IMPORT, Reason.IMPORT_FAILED, "SystemExit"),
    "no file": ("", {}, "cod.py:main", Phase.CODE, Reason.CODE_NOT_FOUND, "cod.py"),
    "no module": ("", {}, "no.such.module:main", Phase.CODE, Reason.CODE_NOT_FOUND, "no.such.module"),
    "no flow": ("@flow\ndef mian(): ...\n", {}, "code.py:main", Phase.IMPORT, Reason.FLOW_NOT_FOUND, "mian"),
    "plain": ("def main(): ...\n", {}, "code.py:main", Phase.IMPORT, Reason.FLOW_NOT_FOUND, "a plain function"),
    "task": ("@task\ndef main(): ...\n", {}, "code.py:main", Phase.IMPORT, Reason.FLOW_NOT_FOUND, "a task"),
    "unknown": ("@flow\ndef main(count=1): ...\n", {"cuont": 1}, "code.py:main", Phase.PARAMETERS,
                Reason.PARAMETERS_INVALID, "Did you mean 'count'"),
    "missing": ("@flow\ndef main(n): ...\n", {}, "code.py:main", Phase.PARAMETERS, Reason.PARAMETERS_INVALID, "'n'"),
    "wrong": ("@flow\ndef main(n: int): ...\n", {"n": "x"}, "code.py:main", Phase.PARAMETERS,
              Reason.PARAMETERS_INVALID, "'n'"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_whatever_is_wrong_before_the_start_fails_the_run_with_its_place_and_reason(make_job, case):
    source, parameters, entrypoint, phase, reason, words = FAILURES[case]
    job_ = make_job(source, parameters, entrypoint=entrypoint).start()
    assert job_.end() == job.ENDED_OTHERWISE, job_.output
    run = job_.read()
    assert run.state_name == "Failed"
    assert (run.state.state_details.phase, run.state.state_details.reason) == (phase, reason)
    assert words in run.state.message
    assert words in "\n".join(job_.world.logs(run))
    assert words in job_.output


def test_the_flows_name_serves_as_the_object(make_job):
    job_ = make_job("@flow(name='The Flow')\ndef main(): mark('named')\n", entrypoint="code.py:The Flow").start()
    assert job_.end() == job.COMPLETED, job_.output


def test_a_script_that_calls_its_flow_is_imported_without_running_it(make_job):
    job_ = make_job("@flow\ndef main(): mark('unguarded')\n\nmain()\n").start()
    assert job_.end() == job.COMPLETED, job_.output
    assert len(job_.world.marked("unguarded")) == 1
    assert "__main__" in job_.output


LONG = """
@flow
def main():
    try:
        mark("long-started-{0}")
        {1}
    finally:
        mark("long-cleaned-{0}")
"""


def long_flow(name, isasync):
    if isasync:
        return "import asyncio\n" + LONG.format(name, "await asyncio.sleep(600)").replace("def main", "async def main")
    return LONG.format(name, "time.sleep(600)")


def assert_told_to_end(job_):
    """Why, the platform knows; until it says so, or for a while, the run goes on."""
    attempt = job_.world.attempts(job_.run)[-1]
    assert attempt.told_to_end_at is not None
    assert job_.read().state_name in ("Pending", "Running")
    exited = Exit(code=job.TERMINATED)
    seen = Observation(status="ENDED", observed_at=clock.now(), reason=Reason.EXITED, exit=exited)
    report = AttemptReport(attempt_id=attempt.id, agent_id=job_.agent_id, observation=seen)
    job_.world.client.send(attempts.send_attempt_reports(AttemptReports(reports=[report])))
    run = job_.read()
    assert (run.state_name, run.state.state_details.reason) == ("Crashed", Reason.SIGNALLED)


@pytest.mark.parametrize("isasync", [False, True], ids=["sync", "async"])
def test_a_job_that_is_told_to_end_cleans_up_and_leaves_the_verdict_to_its_platform(make_job, isasync):
    name = uuid4().hex
    job_ = make_job(long_flow(name, isasync)).start()
    job_.world.wait_for_mark(f"long-started-{name}")
    job_.process.send_signal(signal.SIGTERM)
    assert job_.end() == job.TERMINATED, job_.output
    assert job_.world.marked(f"long-cleaned-{name}")
    assert_told_to_end(job_)


@pytest.mark.parametrize("isasync", [False, True], ids=["sync", "async"])
def test_a_job_that_is_cancelled_leaves_the_verdict_to_its_agent(make_job, isasync):
    name = uuid4().hex
    job_ = make_job(long_flow(name, isasync)).start()
    job_.world.wait_for_mark(f"long-started-{name}")
    job_.world.cancel(job_.run)
    assert job_.read().state_name == "Cancelling"
    job_.process.send_signal(signal.SIGTERM)
    assert job_.end() == job.TERMINATED, job_.output
    assert job_.world.marked(f"long-cleaned-{name}")
    assert job_.read().state_name == "Cancelling"


def test_tasks_in_threads_are_stopped_too(make_job):
    name = uuid4().hex
    job_ = make_job(
        f"""
        @task
        def endless():
            try:
                mark("threads-{name}")
                while True:
                    time.sleep(0.01)
            finally:
                mark("threads-cleaned-{name}")

        @flow
        def main():
            endless.submit().result()
        """
    ).start()
    job_.world.wait_for_mark(f"threads-{name}")
    job_.process.send_signal(signal.SIGTERM)
    assert job_.end() == job.TERMINATED, job_.output
    assert job_.world.marked(f"threads-cleaned-{name}")


def test_a_second_process_of_the_same_attempt_is_refused_before_user_code(make_job):
    name = uuid4().hex
    job_ = make_job(f"mark('second-{name}')\n@flow\ndef main():\n    wait_for('second-go-{name}')\n").start()
    job_.world.wait_for_mark(f"second-{name}")
    first = job_.process
    assert job_.start().end() == job.REFUSED, job_.output
    job_.process = first
    job_.world.let(f"second-go-{name}")
    assert job_.end() == job.COMPLETED, job_.output
    assert len(job_.world.marked(f"second-{name}")) == 1


def test_a_wrong_token_is_refused_before_user_code(make_job):
    name = uuid4().hex
    job_ = make_job(f"mark('token-{name}')\n@flow\ndef main(): ...\n").start(PENSTOCK__ATTEMPT_TOKEN="wrong")
    assert job_.end() == job.REFUSED, job_.output
    assert not job_.world.marked(f"token-{name}")


def test_an_attempt_that_is_over_never_runs_user_code(make_job):
    name = uuid4().hex
    job_ = make_job(f"mark('late-{name}')\n@flow\ndef main(): ...\n")
    job_.report_ended()
    assert job_.start().end() == job.REFUSED, job_.output
    assert not job_.world.marked(f"late-{name}")


def test_an_attempt_that_is_declared_over_stops_at_its_next_report(make_job):
    name = uuid4().hex
    job_ = make_job(
        f"""
        @task
        def step(): ...

        @flow
        def main():
            mark("fenced-{name}")
            while True:
                step()
                time.sleep(0.02)
        """
    ).start()
    job_.world.wait_for_mark(f"fenced-{name}")
    job_.report_ended()
    assert job_.end() == job.REFUSED, job_.output


def test_a_run_can_be_executed_by_hand(shared_world):
    run = shared_world.run(shared_world.deploy("@flow\ndef main(n: int): mark('by-hand', n)\n", queue="nobody"), n=3)
    env = {**shared_world.server.env, "PENSTOCK__FLOW_RUN_ID": str(run.id)}
    done = subprocess.run(
        [sys.executable, "-m", "penstock.engine"], env=env, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == job.COMPLETED, done.stderr
    assert shared_world.read(run).state_name == "Completed"
    assert shared_world.marked("by-hand") == ["3"]


@pytest.mark.parametrize("flow_run_id", ["", "not-an-id", str(UUID(int=7))])
def test_an_environment_that_names_no_run_is_refused(shared_world, flow_run_id):
    env = {**shared_world.server.env, "PENSTOCK__FLOW_RUN_ID": flow_run_id}
    done = subprocess.run(
        [sys.executable, "-m", "penstock.engine"], env=env, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == job.REFUSED, done.stderr
    assert done.stderr.startswith("penstock: ")


def test_code_is_fetched_from_its_storage(make_job):
    from penstock.storage.local import LocalFileSystem

    with pytest.MonkeyPatch.context() as patch:
        world = make_job("").world
        patch.setenv("PENSTOCK_API_URL", world.server.api_url)
        document_id = LocalFileSystem(basepath=str(world.folder)).save(f"stored-{uuid4().hex[:8]}")
    job_ = make_job("@flow(log_prints=True)\ndef main(): print(os.getcwd())\n", storage_document_id=document_id).start()
    assert job_.end() == job.COMPLETED, job_.output
    assert (job_.cwd / "code.py").exists()
    assert str(job_.cwd) in job_.world.logs(job_.read())


def test_storage_that_is_gone_fails_the_run_and_says_so(make_job, tmp_path):
    from penstock.storage.local import LocalFileSystem

    with pytest.MonkeyPatch.context() as patch:
        world = make_job("").world
        patch.setenv("PENSTOCK_API_URL", world.server.api_url)
        document_id = LocalFileSystem(basepath=str(tmp_path / "gone")).save(f"gone-{uuid4().hex[:8]}")
    job_ = make_job("", entrypoint="stored.py:main", storage_document_id=document_id).start()
    assert job_.end() == job.ENDED_OTHERWISE, job_.output
    run = job_.read()
    assert run.state.state_details.reason is Reason.CODE_NOT_FOUND
    assert "local-file-system" in run.state.message


def test_a_run_that_is_run_again_goes_on_with_its_task_runs(make_job):
    name = uuid4().hex
    job_ = make_job(
        f"""
        @task
        def step(n):
            return n

        @flow
        def main():
            step(1)
            mark("again-{name}")
            if len(open(PROBES / "again-{name}").readlines()) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            step(2)
        """
    ).start()
    assert job_.end() == -signal.SIGKILL
    env = {**job_.world.server.env, "PENSTOCK__FLOW_RUN_ID": str(job_.run.id)}
    done = subprocess.run(ENGINE, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == job.COMPLETED, done.stderr
    only = {"id": {"any_": [str(job_.run.id)]}}
    found = {t.name: t for t in job_.world.client.read_task_runs(flow_run_filter=only)}
    assert sorted(found) == ["step-0", "step-1"]
    assert {t.state_name for t in found.values()} == {"Completed"}


MARKING = """
import time
from penstock import flow

def mark(name):
    open({probes!r} + "/" + name, "a").write("here\\n")

"""

PROGRAMS = {
    "sync, SIGTERM": (False, signal.SIGTERM, job.TERMINATED, Reason.SIGNALLED),
    "sync, SIGINT": (False, signal.SIGINT, -signal.SIGINT, Reason.SIGNALLED),
    "async, SIGTERM": (True, signal.SIGTERM, job.TERMINATED, Reason.SIGNALLED),
    "async, SIGINT": (True, signal.SIGINT, -signal.SIGINT, Reason.SIGNALLED),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_program_that_runs_a_flow_and_is_told_to_end_cleans_up_and_says_so(shared_world, tmp_path, case):
    isasync, number, code, reason = PROGRAMS[case]
    name = uuid4().hex
    source = MARKING.format(probes=str(shared_world.probes())) + long_flow(name, isasync)
    source = source.replace("@flow", f"@flow(name='program-{name}')")
    call = "import asyncio\nasyncio.run(main())\n" if isasync else "main()\n"
    (tmp_path / "program.py").write_text(f"{source}\n{call}")
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        env=shared_world.server.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    shared_world.wait_for_mark(f"long-started-{name}")
    process.send_signal(number)
    output = process.communicate(timeout=240)[0]
    assert process.returncode == code, output
    assert shared_world.marked(f"long-cleaned-{name}")
    (run,) = shared_world.client.read_flow_runs(flow_filter={"name": {"any_": [f"program-{name}"]}})
    assert (run.state_name, run.state.state_details.reason) == ("Crashed", reason)


def test_a_job_that_is_told_to_end_while_it_imports_says_so(make_job):
    name = uuid4().hex
    job_ = make_job(f"mark('importing-{name}')\ntime.sleep(600)\n@flow\ndef main(): ...\n").start()
    job_.world.wait_for_mark(f"importing-{name}")
    job_.process.send_signal(signal.SIGTERM)
    assert job_.end() == job.TERMINATED, job_.output
    assert_told_to_end(job_)


def test_a_job_waits_for_a_server_that_is_away_when_it_starts(make_job):
    from penstock.testing import FaultProxy

    job_ = make_job("@flow\ndef main(): ...\n")
    with FaultProxy(job_.world.server.api_url) as proxy:
        proxy.refuse()
        job_.start(PENSTOCK_API_URL=proxy.url, PENSTOCK_CLIENT_MAX_RETRIES="0")
        told = job_.process.stdout.readline()
        assert told.startswith("penstock: "), told
        proxy.refuse(False)
        assert job_.end() == job.COMPLETED, job_.output


def test_a_job_gives_up_when_the_server_stays_away(make_job):
    from penstock.testing import FaultProxy

    job_ = make_job("@flow\ndef main(): ...\n")
    with FaultProxy(job_.world.server.api_url) as proxy:
        proxy.refuse()
        settings = {"PENSTOCK_CLIENT_MAX_RETRIES": "0", "PENSTOCK_API_LOSS_SECONDS": "0.2"}
        job_.start(PENSTOCK_API_URL=proxy.url, **settings)
        assert job_.end() == job.UNREACHABLE, job_.output
