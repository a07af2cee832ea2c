"""`penstock run` with an agent of its own, where the command is ended before its run is."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cli_process import Started, Terminal

from penstock.client import flow_runs
from penstock.model.flow_runs import FlowRun
from penstock.testing import TestServer, wait_until


class Waiting:
    """A run that waits for `door`, and the command that has asked for it and follows it."""

    def __init__(self, started: Started, door: Path) -> None:
        self.command, self.door = started, door
        (self.agent,) = psutil.Process(started.pid).children()

    def has_no_agent(self) -> bool:
        try:
            return self.agent.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


@pytest.fixture
def waiting(terminal: Terminal, tmp_path: Path) -> Iterator[Waiting]:
    door = tmp_path / "door"
    started = terminal.start("run", "flows.py:waits", "-q", "nobody", "-p", f"path={door}")
    try:
        started.wait_for("INFO    | penstock.flow_runs - waiting")
        found = Waiting(started, door)
        yield found
        door.touch()
        wait_until(found.has_no_agent, 120, "the agent leaves")
    finally:
        started.close()
        door.touch()


def _run(running: TestServer) -> FlowRun:
    """The newest."""
    with running.client() as client:
        return client.send(flow_runs.read_flow_runs(sort="EXPECTED_START_TIME_DESC", limit=1))[0]


def test_told_to_end_it_cancels_the_run_and_waits_until_nothing_is_left(running: TestServer, waiting: Waiting) -> None:
    waiting.command.send(signal.SIGTERM)
    assert waiting.command.wait() == 12
    assert "Cancelling" in waiting.command.err
    assert waiting.has_no_agent()
    assert _run(running).state_name == "Cancelled"


def test_killed_it_leaves_an_agent_that_sees_the_run_to_its_end_and_leaves(
    running: TestServer, waiting: Waiting
) -> None:
    waiting.command.send(signal.SIGKILL)
    waiting.command.wait()
    assert not waiting.has_no_agent()
    assert _run(running).state_name == "Running"
    waiting.door.touch()
    wait_until(waiting.has_no_agent, 120, "the agent leaves")
    assert _run(running).state_name == "Completed"
