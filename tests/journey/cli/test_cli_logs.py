"""Long logs on the command line: complete, in order, and followed while they grow."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli_process import Terminal

from penstock.model.flow_runs import FlowRunCreate
from penstock.model.flows import FlowCreate
from penstock.model.logs import LogCreate
from penstock.testing import TestServer, wait_until

LINES = 10_000

TALKATIVE = f"""
import time
from pathlib import Path
from penstock import flow, get_run_logger

@flow
def talkative(go: str):
    logger = get_run_logger()
    logger.info("begins")
    while not Path(go).exists():
        time.sleep(0.01)
    for n in range({LINES}):
        logger.info("line %d", n)

if __name__ == "__main__":
    import sys
    talkative(sys.argv[1])
"""


def messages(text: str) -> list[str]:
    return [line.rpartition(" - ")[2] for line in text.splitlines()]


def test_a_long_log_is_printed_whole_and_in_order_also_where_many_lines_are_of_one_time(
    terminal: Terminal, running: TestServer
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with running.client() as client:
        flow = client.create_flow(FlowCreate(name="long"))
        run = client.create_flow_run(FlowRunCreate(flow_id=flow.id))
        for first in range(0, LINES, 1000):
            # 700 lines share each moment: several pages of them
            lines = [
                LogCreate(name="n", level=20, message=f"line {n}", timestamp=start + timedelta(seconds=n // 700), flow_run_id=run.id)
                for n in range(first, first + 1000)
            ]  # fmt: skip
            client.create_logs(lines)
    expected = [f"line {n}" for n in range(LINES)]
    assert messages(terminal.ok("flow-run", "logs", str(run.id)).out) == expected
    assert messages(terminal.ok("flow-run", "logs", str(run.id), "--reverse").out) == expected[::-1]
    assert messages(terminal.ok("flow-run", "logs", str(run.id), "--tail", "-n", "555").out) == expected[-555:]
    assert messages(terminal.ok("flow-run", "logs", str(run.id), "--head", "-n", "555").out) == expected[:555]


def test_a_log_is_followed_while_thousands_of_lines_come_in(
    terminal: Terminal, running: TestServer, tmp_path: Path
) -> None:
    (tmp_path / "talkative.py").write_text(TALKATIVE)
    go = tmp_path / "go"
    program = subprocess.Popen(
        [sys.executable, "talkative.py", str(go)], cwd=tmp_path, env=running.env, stderr=subprocess.DEVNULL
    )
    try:
        with running.client() as client:
            wait_until(lambda: client.read_flow_runs(flow_filter={"name": {"any_": ["talkative"]}}), timeout=120)
            (run,) = client.read_flow_runs(flow_filter={"name": {"any_": ["talkative"]}})
        following = terminal.start("flow-run", "logs", str(run.id), "-f")
        try:
            following.wait_for("begins")
            go.touch()
            assert following.wait() == 0
            found = [message for message in messages(following.out) if message.startswith("line ")]
        finally:
            following.close()
        assert program.wait(120) == 0
    finally:
        program.kill()
        program.wait()
    assert found == [f"line {n}" for n in range(LINES)]
