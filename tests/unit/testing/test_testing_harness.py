"""The harness: an empty server at once, settings of its own, nothing left behind whatever happens to the test."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock import flow, settings
from penstock.testing import penstock_test_harness, server, wait_until, zygote
from penstock.testing.zygote import NoZygote, fork_server


@flow
def answer() -> int:
    return 42


def runs_of(running):
    with running.client() as client:
        return len(client.read_flow_runs())


def test_flows_run_against_an_empty_server_of_the_block(monkeypatch):
    monkeypatch.setenv("PENSTOCK_API_URL", "http://example.invalid/api")
    monkeypatch.setenv("PENSTOCK_API_KEY", "not for tests")
    for _ in range(2):
        with penstock_test_harness() as running:
            assert runs_of(running) == 0
            assert answer() == 42
            assert runs_of(running) == 1
            assert settings.get("PENSTOCK_API_KEY") is None
    assert os.environ["PENSTOCK_API_URL"] == "http://example.invalid/api"
    assert os.environ["PENSTOCK_API_KEY"] == "not for tests"


def test_settings_are_back_after_an_error(monkeypatch):
    monkeypatch.delenv("PENSTOCK_API_URL", raising=False)
    monkeypatch.setenv("PENSTOCK_HOME", "/somewhere")
    with pytest.raises(RuntimeError, match="in the block"), penstock_test_harness():
        raise RuntimeError("in the block")
    assert "PENSTOCK_API_URL" not in os.environ
    assert os.environ["PENSTOCK_HOME"] == "/somewhere"


def test_blocks_nest_and_each_has_its_own_server():
    with penstock_test_harness() as outer:
        answer()
        with penstock_test_harness() as inner:
            assert runs_of(inner) == 0
            assert outer.api_url != inner.api_url
        answer()
        assert runs_of(outer) == 2


def test_the_name_that_users_of_prefect_2_know_is_there():
    from penstock.testing.harness import penstock_test_harness as one
    from penstock.testing.utilities import penstock_test_harness as other

    assert one is other


def test_an_environment_that_an_interpreter_reads_at_its_start_gets_one_of_its_own(tmp_path):
    env = {**os.environ, "PYTHONHASHSEED": "7" if os.environ.get("PYTHONHASHSEED") != "7" else "8"}
    with pytest.raises(NoZygote, match="PYTHONHASHSEED"):
        fork_server([], env, tmp_path / "log", 1)
    with server(env={"PYTHONHASHSEED": env["PYTHONHASHSEED"]}) as running:
        assert runs_of(running) == 0


def test_many_servers_at_once_do_not_meet():
    def one(_: int) -> tuple[str, int, int]:
        with server() as running:
            return running.api_url, running.pid, runs_of(running)

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(one, range(12)))
    assert {runs for _, _, runs in found} == {0}
    assert len({pid for _, pid, _ in found}) == 12


def test_a_server_that_is_killed_from_outside_is_known_to_be_gone():
    with server() as running:
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: not running.running, 60)


KILLED = """
    import os, sys, time
    from penstock.testing import penstock_test_harness
    with penstock_test_harness() as running:
        fork = os.fork()
        if fork == 0:  # keeps every descriptor of its parent
            time.sleep(600)
            os._exit(0)
        print(running.pid, fork, running.home, flush=True)
        time.sleep(600)
"""


def test_nothing_is_left_when_the_test_process_is_killed():
    program = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED)], stdout=subprocess.PIPE, text=True)
    pid, fork, home = program.stdout.readline().split()
    assert Path(home).exists()
    assert Path(f"/proc/{pid}").exists()
    program.kill()
    program.wait()
    program.stdout.close()
    try:
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), 60, "the server is gone")
        wait_until(lambda: not Path(home).exists(), 60, "its folder is gone")
    finally:
        os.kill(int(fork), signal.SIGKILL)


def test_code_that_has_changed_is_loaded_anew(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)  # the one that other tests use shall stay
        with server() as before:
            monkeypatch.setattr(zygote, "stamp", lambda: "other code")
            with server() as after:
                assert _parent(after.pid) != _parent(before.pid)
                assert before.running
            zygote.leave()


def test_a_zygote_that_nobody_needs_leaves(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setattr(zygote, "IDLE_SECONDS", 0.4)
        with server() as running:
            parent = _parent(running.pid)
            (socket,) = Path(folder).glob("penstock-zygote-*/*.sock")
        wait_until(lambda: not socket.exists(), 60, "its socket is gone")
        wait_until(lambda: not Path(f"/proc/{parent}").exists(), 60, "it is gone")


def test_a_server_ends_with_its_zygote(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with server() as running:
            os.kill(int(_parent(running.pid)), signal.SIGKILL)
            wait_until(lambda: not running.running, 60)
            running.restart()
            assert runs_of(running) == 0
        zygote.leave()


def _parent(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]


PLUGIN_TEST = """
    from penstock import flow

    @flow
    def answer():
        return 42

    def test_the_fixture(penstock_server):
        assert answer() == 42
        with penstock_server.client() as client:
            assert [run.state_name for run in client.read_flow_runs()] == ["Completed"]

    def test_another_one_starts_empty(penstock_server):
        with penstock_server.client() as client:
            assert client.read_flow_runs() == []
"""


def test_the_plugin_brings_a_fixture_and_works_in_parallel(tmp_path):
    (tmp_path / "test_some_flow.py").write_text(textwrap.dedent(PLUGIN_TEST))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_plugin_loads_nothing_until_it_is_used():
    program = (
        "import sys, pytest; before = set(sys.modules); import penstock.testing.plugin;"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('penstock')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=280, check=True)
    assert done.stdout.strip() == "[]"
