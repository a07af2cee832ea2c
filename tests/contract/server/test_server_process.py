"""The server as a process: where it listens, whom it lets in, how it starts and leaves."""

import http.client
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from wire import Api

from penstock.client import attempts, deployments, flow_runs, flows, get_sync_client
from penstock.model.attempts import AgentPoll
from penstock.model.deployments import DeploymentCreate
from penstock.model.flow_runs import DeploymentFlowRunCreate
from penstock.model.flows import FlowCreate
from penstock.server.database import migrate
from penstock.testing import server, wait_until


def _run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock.server", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=180, check=False)


def test_a_stop_is_quick_and_a_success_even_with_a_poll_open() -> None:
    # a poll waits for a third of a lease at most: this one for longer than a stop may take
    with server(env={"PENSTOCK_AGENT_LEASE_SECONDS": "180"}) as running:
        poll = {"agent_id": str(uuid4()), "request_id": str(uuid4()), "name": "a", "wait_seconds": 50, "capacity": 0}
        answered: list[int] = []

        def ask() -> None:
            with Api(running.api_url) as api:
                answered.append(api.post("/agents/poll", poll).status)

        asking = threading.Thread(target=ask)
        asking.start()
        with Api(running.api_url) as api:
            wait_until(lambda: api.post("/agents/filter", {}).body, message="the agent is known")
        pid = running.pid
        running.stop()
        asking.join(timeout=60)
        assert not asking.is_alive()
        assert answered == [200]
        assert not Path(f"/proc/{pid}").exists()
        assert "Traceback" not in running.output


def test_what_was_answered_is_still_there_after_a_kill() -> None:
    with server() as running:
        with Api(running.api_url) as api:
            run = api.run("RUNNING")["id"]
        running.kill()
        running.start()
        with Api(running.api_url) as api:
            assert api.get(f"/flow_runs/{run}").body["state_type"] == "RUNNING"


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with server() as running:
        port = str(urlsplit(running.api_url).port)
        done = _run("--port", port, env=running.env)
        assert done.returncode == 1
        assert f"port {port}" in done.stderr
        assert "--port" in done.stderr
        assert "Traceback" not in done.stderr


def test_an_ephemeral_server_leaves_when_nobody_asks(tmp_path: Path) -> None:
    env = {"PENSTOCK_EPHEMERAL_IDLE_SECONDS": "0.5"}
    with server(env=env, home=tmp_path) as running:
        environment = running.env
        command = [sys.executable, "-m", "penstock.server", "--port", "0", "--ephemeral"]
        leaving = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        try:
            assert leaving.wait(timeout=180) == 0
        finally:
            leaving.kill()
            assert leaving.stderr is not None
            leaving.stderr.close()


def test_beyond_loopback_a_key_is_made_kept_and_demanded(tmp_path: Path) -> None:
    with server(env={"PENSTOCK_SERVER_API_HOST": "0.0.0.0"}, home=tmp_path) as running:
        key_file = tmp_path / "api.key"
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        key = key_file.read_text().strip()
        assert str(key_file) in running.output
        assert key not in running.output
        with Api(running.api_url) as stranger:
            refused = stranger.get("/flows/" + str(uuid4()))
            assert (refused.status, refused.body["code"]) == (401, "not_authorized")
            assert "PENSTOCK_API_KEY" in refused.body["hint"]
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert stranger.get("/health").status == 200
            assert stranger.get("/ready").status == 200
            assert stranger.get("/version", Authorization="Bearer wrong").status == 401
            assert stranger.get("/version", Authorization=f"Bearer {key}").status == 200
        running.restart()
        assert key_file.read_text().strip() == key


def test_an_attempts_token_opens_what_its_engine_needs_and_no_more_and_nothing_when_it_is_over(tmp_path: Path) -> None:
    key = {"Authorization": "Bearer secret"}
    with (
        server(env={"PENSTOCK_SERVER_API_KEY": "secret"}, home=tmp_path) as running,
        Api(running.api_url) as api,
        get_sync_client(running.api_url, key="secret") as owner,
    ):
        flow = owner.send(flows.create_flow(FlowCreate(name="guarded")))
        asked = DeploymentCreate(name="d", flow_id=flow.id, work_queue_name="default")
        deployment = owner.send(deployments.create_deployment(asked))
        run = owner.send(flow_runs.create_flow_run_from_deployment(deployment.id, DeploymentFlowRunCreate()))
        poll = AgentPoll(agent_id=uuid4(), request_id=uuid4(), name="test", work_queues=["default"])
        (claim,) = owner.send(attempts.poll(poll)).claims
        shown = {"X_Penstock_Attempt": f"{claim.attempt.id}:{claim.token}"}
        assert api.get(f"/flow_runs/{run.id}", **shown).status == 200
        assert api.get("/admin/settings", **shown).status == 401
        assert api.get(f"/flow_runs/{run.id}", X_Penstock_Attempt=f"{claim.attempt.id}:made-up").status == 401
        assert api.get(f"/flow_runs/{run.id}", X_Penstock_Attempt="nonsense").status == 422
        cancelling = {"state": {"type": "CANCELLING"}}
        assert api.post(f"/flow_runs/{run.id}/set_state", cancelling, **key).body["state"]["type"] == "CANCELLED"
        over = api.get(f"/flow_runs/{run.id}", **shown)
        assert (over.status, over.body["code"]) == (409, "attempt_superseded")


def test_a_client_of_another_version_of_the_api_is_told(api: Api) -> None:
    assert api.get("/version", X_PREFECT_API_VERSION="0.8.4").status == 200
    for version in ("0.7.0", "new"):
        refused = api.get("/version", X_PREFECT_API_VERSION=version)
        assert refused.status == 400
        assert refused.body["detail"]


def test_the_questions_about_the_server_itself(api: Api) -> None:
    assert api.get("/health").body is True
    assert api.get("/ready").body == {"message": "OK"}
    assert api.get("/version").body == api.get("/admin/version").body
    assert api.get("/hello").status == 200
    csrf = api.get(f"/csrf-token?client={uuid4()}")
    assert (csrf.status, csrf.body["detail"]) == (422, "CSRF protection is disabled.")
    assert api.get("/admin/settings").body["PENSTOCK_API_DATABASE_CONNECTION_URL"] in (None, "********")
    assert api.get("/nowhere").status == 404
    assert api.call("PUT", "/flows/").status == 405


def test_the_database_is_cleared_only_when_that_is_confirmed() -> None:
    with server() as running, Api(running.api_url) as api:
        flow = api.flow()
        assert api.post("/admin/database/clear").status == 400
        assert api.post("/admin/database/clear", {"confirm": False}).status == 400
        assert api.get(f"/flows/{flow}").status == 200
        assert api.post("/admin/database/clear", {"confirm": True}).status == 204
        assert api.get(f"/flows/{flow}").status == 404
        assert api.post("/admin/database/drop", {"confirm": True}).status == 204
        assert api.post("/admin/database/create", {"confirm": True}).status == 204
        assert api.flow()


def test_the_database_is_managed_from_the_command_line(tmp_path: Path) -> None:
    with server(home=tmp_path) as running:
        running.stop()
        for arguments, said in (
            (("version",), migrate.HEAD),
            (("downgrade",), "base"),
            (("upgrade",), migrate.HEAD),
            (("reset",), migrate.HEAD),
        ):
            done = _run("database", *arguments, env=running.env)
            assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr


def test_an_interrupt_stops_it_like_a_termination() -> None:
    with server() as running:
        import os

        os.kill(running.pid, signal.SIGINT)
        wait_until(lambda: not running.running)
        assert "Traceback" not in running.output


def test_a_broken_request_does_not_disturb_the_next(api: Api) -> None:
    parts = urlsplit(api.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    try:
        connection.request("POST", "/api/flows/", "{", {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 422
        response.read()
    finally:
        connection.close()
    assert api.get("/health").status == 200
