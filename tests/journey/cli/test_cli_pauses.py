"""Pausing, suspending and resuming, as somebody does it who only types commands."""

from collections.abc import Iterator
from typing import Any

import pytest
from cli_process import Terminal, known_agent

from penstock.testing import TestAgent, TestServer, wait_until

FLOW = """
import time
from penstock import flow, pause_flow_run, task
from penstock.input import RunInput

class Approval(RunInput):
    approved: bool
    comment: str = "none"

@flow
def asks():
    found = pause_flow_run(wait_for_input=Approval, timeout=300)
    print("approved:", found.approved, found.comment)

@task(persist_result=True)
def look(number):
    time.sleep(0.02)

@flow
def looks():
    for number in range(3000):
        look(number)
"""


@pytest.fixture(scope="module")
def serving(running: TestServer) -> Iterator[TestAgent]:
    """An agent on the queue "pausing"."""
    with known_agent(running, "-q", "pausing") as found:
        yield found


def started(terminal: Terminal, name: str) -> str:
    """Deploy the flow `name` and run it: the id of the run."""
    (terminal.folder / "pausing.py").write_text(FLOW)
    terminal.ok("deployment", "build", f"pausing.py:{name}", "-n", "typed", "-q", "pausing", "-a")
    run: dict[str, Any] = terminal.ok("deployment", "run", f"{name}/typed", "-o", "json").json
    return str(run["id"])


def wait_for_state(terminal: Terminal, run_id: str, name: str) -> None:
    def is_there() -> bool:
        return bool(terminal.ok("flow-run", "inspect", run_id, "-o", "json").json["state_name"] == name)

    wait_until(is_there, 150, f"the run is {name}")


def test_a_run_that_asks_is_answered(terminal: Terminal, serving: TestAgent) -> None:
    run_id = started(terminal, "asks")
    wait_for_state(terminal, run_id, "Paused")
    explained = terminal.ok("flow-run", "explain", run_id).out
    assert f"resumes it with input: penstock flow-run resume {run_id}" in explained
    assert "it fails" in explained
    refused = terminal("flow-run", "resume", run_id)
    assert refused.code != 0
    assert "approved is missing" in refused.err
    assert "--input approved=BOOLEAN" in refused.err
    assert "--input comment=STRING  (has a default)" in refused.err
    terminal.ok("flow-run", "resume", run_id, "--input", "approved=true", "-i", "comment=go on")
    wait_for_state(terminal, run_id, "Completed")
    again = terminal("flow-run", "resume", run_id)
    assert again.code != 0
    assert "Only a paused run can be resumed" in again.err


def test_a_running_run_is_suspended_and_resumed(terminal: Terminal, serving: TestAgent) -> None:
    run_id = started(terminal, "looks")
    wait_for_state(terminal, run_id, "Running")
    terminal.ok("flow-run", "suspend", run_id, "--timeout", "10m")
    inspected = terminal.ok("flow-run", "inspect", run_id, "-o", "json").json
    assert inspected["state_name"] == "Suspended"

    def has_left() -> bool:
        attempts = terminal.ok("flow-run", "attempts", run_id, "-o", "json").json
        return bool(attempts[0]["status"] == "ENDED")

    wait_until(has_left, 150, "its process has left")
    twice = terminal("flow-run", "pause", run_id)
    assert "Only a running run can be paused" in twice.err
    terminal.ok("flow-run", "resume", run_id)
    wait_for_state(terminal, run_id, "Running")
    terminal.ok("flow-run", "pause", run_id, "--timeout", "0")
    details = terminal.ok("flow-run", "inspect", run_id, "-o", "json").json["state"]["state_details"]
    assert details.get("pause_timeout") is None
    terminal.ok("flow-run", "cancel", run_id, "--wait")
