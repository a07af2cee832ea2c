"""Commands that start processes: the server, agents, both together."""

import re
import socket
from contextlib import closing
from pathlib import Path

import pytest
from cli_process import FLOWS, Terminal

from penstock.testing import TestServer, agent, server
from penstock.testing.servers import isolated_environment


@pytest.fixture
def bare(tmp_path: Path) -> Terminal:
    """A terminal with a home of its own and no server."""
    (tmp_path / "flows.py").write_text(FLOWS)
    return Terminal(isolated_environment(tmp_path / "home"), tmp_path)


def _url(text: str) -> str:
    found = re.search(r"http://[\d.]+:\d+/api", text)
    assert found is not None, text
    return found[0]


def test_server_start_says_where_it_is_and_how_to_point_at_it(bare: Terminal) -> None:
    started = bare.start("server", "start", "--port", "0")
    try:
        started.wait_for("penstock agent start")
        url = _url(started.err)
        bare.ok("config", "set", f"PENSTOCK_API_URL={url}")
        assert bare.ok("flow", "ls", "-o", "json").json == []
        assert bare("doctor").code == 7  # no agent
        port = url.split(":")[2].split("/")[0]
        second = bare("server", "start", "--port", port)
        assert second.code == 6
        assert f"Port {port}" in second.err
        started.interrupt()
        assert started.wait() in {0, 130}
    finally:
        started.close()


def test_up_runs_a_server_and_an_agent_until_ctrl_c(bare: Terminal) -> None:
    up = bare.start("up", "--port", "0")
    try:
        up.wait_for("Penstock is up")
        pointed = Terminal({**bare.env, "PENSTOCK_API_URL": _url(up.err)}, bare.folder)
        assert "hello up" in pointed.ok("run", "flows.py:hello", "-p", "name=up").out
        assert pointed.ok("doctor").code == 0
        assert len(pointed.ok("agent", "ls", "-o", "json").json) == 1, "run used the agent that is there"
        up.interrupt()
        assert up.wait() == 0
        gone = Terminal({**pointed.env, "PENSTOCK_CLIENT_MAX_RETRIES": "0"}, bare.folder)
        assert gone("flow", "ls").code == 5
    finally:
        up.close()


def test_up_refuses_a_port_in_use(bare: Terminal) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        refused = bare("up", "--port", str(taken.getsockname()[1]))
    assert refused.code == 6
    assert "in use" in refused.err


def test_agent_start_takes_what_is_due_once(running: TestServer, terminal: Terminal) -> None:
    terminal.ok("deployment", "build", "flows.py:hello", "-n", "once", "-q", "once", "-a")
    run = terminal.ok("-q", "deployment", "run", "hello/once", "-o", "name").out.strip()
    unset = {key: value for key, value in terminal.env.items() if key != "PENSTOCK_API_URL"}
    by_option = Terminal(unset, terminal.folder)
    by_option.ok("agent", "start", "-q", "once", "--run-once", "--hide-welcome", "--api", running.api_url)
    assert terminal.ok("flow-run", "inspect", run, "-o", "json").json["state_type"] == "COMPLETED"


def test_the_old_way_to_name_a_queue_works_with_a_warning(running: TestServer, terminal: Terminal) -> None:
    said = terminal.ok("agent", "start", "once", "--run-once")
    assert "penstock agent start -q once" in said.err


def test_the_database_is_looked_after(bare: Terminal) -> None:
    asked = bare("server", "database", "reset")
    assert asked.code == 2
    assert "--yes" in asked.err
    bare.ok("server", "database", "upgrade", "-y")
    bare.ok("server", "database", "reset", "-y")
    assert (bare.folder / "home" / "penstock.db").exists()


def test_watching_outlives_a_restart_of_the_server(terminal: Terminal, tmp_path: Path) -> None:
    door = tmp_path / "door"
    with server() as own, agent(own, "-q", "default"):
        pointed = Terminal({**own.env, "PENSTOCK_CLIENT_MAX_RETRIES": "0"}, terminal.folder)
        watching = pointed.start("run", "flows.py:waits", "-p", f"path={door}")
        try:
            watching.wait_for("waiting")
            own.stop()
            watching.wait_for("come back")
            own.start()
            door.touch()
            assert watching.wait() == 0
        finally:
            watching.close()
