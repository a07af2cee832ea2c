"""The throw-away server and the way tests wait."""

import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from penstock.errors import Unreachable
from penstock.testing import server, wait_until
from penstock.testing.process import Child
from penstock.testing.servers import isolated_environment


def test_a_server_runs_within_its_block_and_leaves_nothing() -> None:
    with server() as running:
        with running.client() as client:
            assert client.read_health() is True
        home, pid = running.home, running.pid
        assert running.env["PENSTOCK_API_URL"] == running.api_url
        assert running.env["PENSTOCK_HOME"] == str(home)
    assert not home.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_comes_back_on_its_port_after_a_kill_and_a_restart() -> None:
    with server() as running:
        url, pid = running.api_url, running.pid
        running.kill()
        assert not running.running
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", urlsplit(url).port or 0))  # it is kept for the server
        with running.client() as client:
            running.restart()
            assert client.read_health() is True
        assert running.api_url == url
        assert running.pid != pid


def test_a_home_that_was_given_is_kept(tmp_path: Path) -> None:
    with server(home=tmp_path):
        pass
    assert (tmp_path / "penstock.db").exists()


def test_a_server_that_cannot_start_shows_why() -> None:
    with (
        pytest.raises(AssertionError, match="PENSTOCK_API_DATABASE_POOL_SIZE"),
        server(env={"PENSTOCK_API_DATABASE_POOL_SIZE": "NOISY"}),
    ):
        pass


def test_a_key_that_the_server_demands_is_known_to_its_clients() -> None:
    from penstock.client import get_sync_client
    from penstock.errors import NotAuthorized

    with server(env={"PENSTOCK_SERVER_API_KEY": "k"}) as running:
        with running.client() as client:
            assert client.request("GET", "/admin/version")
        with get_sync_client(running.api_url, key="wrong") as client, pytest.raises(NotAuthorized):
            client.request("GET", "/admin/version")


def test_no_setting_of_this_machine_reaches_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", "http://example.invalid/api")
    env = isolated_environment(tmp_path)
    assert [name for name in env if name.startswith("PENSTOCK_")] == ["PENSTOCK_HOME"]
    assert env["PATH"] == os.environ["PATH"]


def test_a_stopped_server_is_unreachable() -> None:
    from penstock.client import get_sync_client

    with server() as running:
        running.stop()
        with get_sync_client(running.api_url, max_retries=0) as client, pytest.raises(Unreachable):
            client.read_health()


def test_waiting_ends_when_it_is_true_and_says_what_was_not() -> None:
    values = iter([0, 0, 3])
    assert wait_until(lambda: next(values)) == 3
    with pytest.raises(AssertionError, match=r"not true after 0\.05 s: the moon is green \(the last value was \[\]\)"):
        wait_until(list, 0.05, "the moon is green")


def test_a_child_that_says_nothing_of_it_and_ends_is_an_error_with_its_output(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "print('something else')"], {}, tmp_path / "log")
    with pytest.raises(AssertionError, match="something else"):
        child.wait_for_output("the word", timeout=60)
    assert child.wait() == 0
    assert child.output == "something else\n"


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    child = Child([sys.executable, "-c", program], {}, tmp_path / "log")
    child.wait_for_output("up")
    child.close(timeout=0.1)
    assert child.returncode == -9
