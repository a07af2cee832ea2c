"""A whole world for a story: a real server, agents, engines, and flows that leave marks on disk when they run."""

import os
import signal
import sqlite3
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest

from penstock.blocks.base import Block
from penstock.client import attempts, deployments, flow_runs, flows, logs
from penstock.client.sync import SyncClient
from penstock.model.attempts import Attempt
from penstock.model.deployments import Deployment, DeploymentCreate
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRun
from penstock.model.flows import FlowCreate
from penstock.model.states import StateCreate, StateType
from penstock.testing import agent, server, wait_until
from penstock.testing.agents import TestAgent
from penstock.testing.servers import TestServer

pytest.register_assert_rewrite("jobs_end")

#: In front of every flow: marks prove that user code ran, and let a test hold a flow at a point.
HEADER = """\
import os, pathlib, signal, subprocess, sys, time
from penstock import flow, task, get_run_logger

PROBES = pathlib.Path({probes!r})

def mark(name, text=None):
    with open(PROBES / name, "a") as file:
        file.write(f"{{os.getpid() if text is None else text}}\\n")

def wait_for(name):
    while not (PROBES / name).exists():
        time.sleep(0.01)

"""

TERMINAL = (StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)


class World:
    """One server with its folder. Agents and jobs that a test leaves behind are ended with it."""

    def __init__(self, running: TestServer, folder: Path) -> None:
        self.server, self.folder = running, folder
        self.client: SyncClient = running.client()
        self._stack = ExitStack()

    def agent(self, *args: str, env: dict[str, str] | None = None, fake_platform: Path | None = None) -> TestAgent:
        """Start an agent that lives as long as the world."""
        return self._stack.enter_context(agent(self.server, *args, env=env, fake_platform=fake_platform))

    def deploy(
        self,
        source: str,
        *,
        entrypoint: str = "code.py:main",
        queue: str = "queue",
        file: str = "code.py",
        header: bool = True,
        **fields: Any,
    ) -> Deployment:
        """Write `source` as a flow's file and deploy it; `fields` are the deployment's."""
        place = self.folder / f"code-{uuid4().hex[:8]}"
        probes = self.probes()
        place.mkdir()
        body = textwrap.dedent(source)
        (place / file).write_text(HEADER.format(probes=str(probes)) + body if header else body)
        made = self.client.send(flows.create_flow(FlowCreate(name=f"flow-{place.name}")))
        return self.client.send(
            deployments.create_deployment(
                DeploymentCreate(
                    name="deployed",
                    flow_id=made.id,
                    path=str(place),
                    entrypoint=entrypoint,
                    work_queue_name=queue,
                    **fields,
                )
            )
        )

    def save(self, block: Block) -> Any:
        """Save a block on this world's server; its id."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PENSTOCK_API_URL", self.server.api_url)
            if key := self.server.env.get("PENSTOCK_SERVER_API_KEY"):
                patch.setenv("PENSTOCK_API_KEY", key)
            return block.save(f"b-{uuid4().hex[:10]}")

    def run(self, deployment: Deployment, **parameters: Any) -> FlowRun:
        """Ask for a run now."""
        asked = DeploymentFlowRunCreate(parameters=parameters)
        return self.client.send(flow_runs.create_flow_run_from_deployment(deployment.id, asked))

    def read(self, run: FlowRun | UUID) -> FlowRun:
        return self.client.send(flow_runs.read_flow_run(run if isinstance(run, UUID) else run.id))

    def wait_for(self, run: FlowRun, *states: StateType, timeout: float = 240) -> FlowRun:
        """The run once it is in one of `states` (by default: is over). Fails at once if it is over in another one."""

        def there() -> FlowRun | None:
            now = self.read(run)
            if states and now.state_type in TERMINAL and now.state_type not in states:
                raise AssertionError(f"it is {now.state_type}: {now.state and now.state.message}\n{self.story(run)}")
            return now if now.state_type in (states or TERMINAL) else None

        try:
            wait_until(there, timeout, f"run {run.name} in {states or 'a final state'}")
            return self.read(run)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story(run)}") from None

    def ended(self, run: FlowRun, timeout: float = 240) -> Attempt:
        """The run's last attempt once it has ended."""
        wait_until(
            lambda: (found := self.attempts(run)) and found[-1].status == "ENDED",
            timeout,
            f"the attempt of {run.name} has ended",
        )
        return self.attempts(run)[-1]

    def attempts(self, run: FlowRun) -> list[Attempt]:
        return self.client.send(attempts.read_attempts(run.id))

    def states(self, run: FlowRun) -> list[str]:
        """Names of the states that the run went through."""
        return [str(state.name) for state in self.client.send(flow_runs.read_flow_run_states(run.id))]

    def logs(self, run: FlowRun) -> list[str]:
        """Messages of the run's log, in order."""
        wanted = {"flow_run_id": {"any_": [str(run.id)]}}
        found: list[str] = []
        while True:
            page = self.client.send(logs.read_logs(log_filter=wanted, limit=200, offset=len(found)))
            found += [line.message for line in page]
            if len(page) < 200:
                return found

    def cancel(self, run: FlowRun) -> None:
        self.client.send(flow_runs.set_flow_run_state(run.id, StateCreate(type=StateType.CANCELLING)))

    def pass_start_limit(self, run: FlowRun) -> None:
        """The start limit of the run's attempt is over now: nobody has to be quicker than it before that."""
        change = (
            "UPDATE attempt SET limits = json_set(limits, '$.start', 0.1) WHERE flow_run_id = ? AND ended_at IS NULL"
        )
        with closing(sqlite3.connect(self.server.home / "penstock.db", timeout=60)) as database, database:
            assert database.execute(change, [run.id.hex]).rowcount == 1

    def probes(self) -> Path:
        folder = self.folder / "probes"
        folder.mkdir(exist_ok=True)
        return folder

    def marked(self, name: str) -> list[str]:
        """The lines that user code has written under `name`."""
        path = self.probes() / name
        return path.read_text().split() if path.exists() else []

    def wait_for_mark(self, name: str, timeout: float = 240) -> list[str]:
        return wait_until(lambda: self.marked(name), timeout, f"user code has marked {name!r}")

    def let(self, name: str) -> None:
        """Let flows go on that wait for `name`."""
        (self.probes() / name).touch()

    def story(self, run: FlowRun) -> str:
        """All that is known of a run, for the message of a test that fails."""
        logs_of_agents = "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.server.home.glob("agent-*.log"))
        )
        return "\n".join(
            [
                f"states: {self.states(run)}",
                *(one.model_dump_json(exclude_none=True) for one in self.attempts(run)),
                logs_of_agents,
                f"--- server\n{self.server.output[-3000:]}",
            ]
        )

    def close(self) -> None:
        self._stack.close()
        self.client.close()


def of_home(home: Path) -> list[psutil.Process]:
    """Processes that have this PENSTOCK_HOME: launchers, keepers, jobs and whatever these started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PENSTOCK_HOME") == str(home) and process.pid != os.getpid():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end_all_of(home: Path) -> None:
    """Kill whatever runs with this PENSTOCK_HOME."""
    for process in of_home(home):
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


@contextmanager
def world_in(folder: Path, **options: Any) -> Iterator[World]:
    folder.mkdir(parents=True, exist_ok=True)
    env = {"PENSTOCK_LAUNCHER_IDLE_SECONDS": "5", **options.pop("env", {})}
    with server(env=env, **options) as running:
        world = World(running, folder)
        try:
            yield world
        finally:
            world.close()
            end_all_of(running.home)


@pytest.fixture(scope="session")
def make_world() -> Callable[..., AbstractContextManager[World]]:
    """Makes worlds of other kinds: ``make_world(folder, env={…}, database_url=…)``."""
    return world_in


@pytest.fixture
def name() -> str:
    """A name that nothing else has, neither in this test run nor in one beside it."""
    return f"n-{uuid4().hex[:10]}"


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """A home of this test's own. The server that a command starts by itself in it is ended with the test."""
    home = tmp_path / "own-home"
    try:
        yield home
    finally:
        end_all_of(home)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world for this test alone."""
    with world_in(tmp_path / "world") as made:
        yield made


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with one agent on "queue", for the tests of a module that leave it as it is."""
    with world_in(tmp_path_factory.mktemp("shared") / "world") as made:
        made.agent("-q", "queue", "--name", "shared")
        yield made
