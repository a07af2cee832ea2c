"""The local server that is there when no API is configured: real processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.client import ephemeral, flow_runs, get_sync_client
from penstock.errors import Unreachable
from penstock.testing import wait_until
from penstock.testing.servers import isolated_environment

ASK = (
    "from penstock.client import get_sync_client\n"
    "with get_sync_client() as client:\n"
    "    assert client.read_health() is True\n"
    "    print(client.api_url)\n"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home; the local server that is started in it is stopped in the end."""
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    yield tmp_path
    stop(tmp_path)
    ephemeral._known.clear()


def state(home: Path) -> dict[str, object]:
    return dict(json.loads((home / "ephemeral.json").read_text()))


def stop(home: Path) -> None:
    if (home / "ephemeral.json").exists():
        pid = int(str(state(home)["pid"]))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        wait_until(lambda: is_gone(pid), message="the local server is gone")


def is_gone(pid: int) -> bool:
    """Whether a process is gone; remains that only wait to be collected count as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def ask(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ASK], env=isolated_environment(home), stdout=subprocess.PIPE, text=True
    )


def test_eight_processes_that_need_it_at_once_start_exactly_one(home: Path) -> None:
    asking = [ask(home) for _ in range(8)]
    answers = [process.communicate(timeout=240)[0] for process in asking]
    assert [process.returncode for process in asking] == [0] * 8
    assert len(set(answers)) == 1
    assert answers[0].strip() == state(home)["api_url"]


def test_it_outlives_its_starter_and_is_found_again(home: Path) -> None:
    first, second = (ask(home).communicate(timeout=240)[0] for _ in range(2))
    assert first == second
    assert not is_gone(int(str(state(home)["pid"])))


def test_one_that_died_is_noticed_and_replaced_while_a_client_is_open(home: Path) -> None:
    with get_sync_client() as client:
        assert client.read_health() is True
        before = state(home)
        stop(home)
        assert client.read_health() is True
    assert state(home)["pid"] != before["pid"]


def test_what_it_was_told_is_still_there_in_the_next_one(home: Path) -> None:
    from penstock.client import flows
    from penstock.model.flows import FlowCreate

    with get_sync_client() as client:
        flow = client.send(flows.create_flow(FlowCreate(name="kept")))
        stop(home)
        assert client.send(flows.read_flow_by_name("kept")).id == flow.id


@pytest.mark.parametrize(
    "rest", ["", "{", "[]", '{"api_url": 1}', '{"api_url": "http://127.0.0.1:9/api", "pid": 1, "version": ""}']
)
def test_a_state_file_that_says_nothing_true_is_ignored(home: Path, rest: str) -> None:
    (home / "ephemeral.json").write_text(rest)
    with get_sync_client() as client:
        assert client.read_health() is True


def test_one_that_does_not_come_up_shows_the_end_of_its_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("a file cannot be a folder")
    monkeypatch.setenv("PENSTOCK_API_DATABASE_CONNECTION_URL", f"sqlite:///{home}/file/penstock.db")
    with get_sync_client() as client, pytest.raises(Unreachable, match="ended before it listened") as caught:
        client.read_health()
    assert f"{home}/file" in str(caught.value)
    assert caught.value.hint is not None


def test_it_listens_to_this_machine_only_whatever_servers_are_told_to(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_SERVER_API_HOST", "0.0.0.0")
    with get_sync_client() as client:
        assert client.send(flow_runs.count_flow_runs()) == 0
        assert client.api_url.startswith("http://127.0.0.1:")
    assert not (home / "api.key").exists()


def test_it_leaves_when_nobody_uses_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_EPHEMERAL_IDLE_SECONDS", "1.5")
    with get_sync_client() as client:
        assert client.read_health() is True
    pid = int(str(state(home)["pid"]))
    wait_until(lambda: is_gone(pid), message="the local server has left")
