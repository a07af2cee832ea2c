"""One function per figure of the budget. Each yields the lines of the report."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

from bench import peer as peers
from bench import programs
from bench.measure import Figure, cpu_and_wall, environment, median, percentile, resident_mb
from penstock import testing
from penstock.client import deployments, flow_runs, flows, get_sync_client
from penstock.model.deployments import DeploymentCreate
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRunCreate
from penstock.model.flows import FlowCreate
from penstock.model.states import StateCreate, StateType

PENSTOCK = str(Path(sys.executable).parent / "penstock")


def bare_cpu() -> float:
    return median(lambda: cpu_and_wall([sys.executable, "-c", "pass"])[0])


def import_(peer: peers.Peer | None, **_: Any) -> Iterator[Figure]:
    program = "import {0}; from {0} import flow, task"
    bare = bare_cpu()
    ours = median(lambda: cpu_and_wall([sys.executable, "-c", program.format("penstock")])[0]) - bare
    ratio = None
    if peer:
        theirs = median(lambda: cpu_and_wall([peer.python, "-c", program.format("prefect")])[0], 3) - bare
        ratio = theirs / ours
    yield Figure(
        "import penstock, flow, task: CPU over bare", ours * 1000, "ms", "<= 80", ours <= 0.080, ratio, _faster(peer)
    )


def cli(peer: peers.Peer | None, **_: Any) -> Iterator[Figure]:
    bare = bare_cpu()
    for option in ("--help", "--version"):
        ours = median(lambda option=option: cpu_and_wall([PENSTOCK, option])[0])
        ratio = None
        if peer:
            theirs = median(lambda option=option: cpu_and_wall([peer.program("prefect"), option])[0], 3)
            ratio = theirs / ours
        yield Figure(
            f"penstock {option}: CPU, times python -c pass",
            ours / bare,
            "x",
            "<= 2",
            ours / bare <= 2,
            ratio,
            _faster(peer),
        )


def trivial(peer: peers.Peer | None, **_: Any) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        with testing.server() as server:
            path = _program(folder, "ours.py", programs.TRIVIAL, "penstock")
            ours = median(lambda: cpu_and_wall([sys.executable, path], server.env)[1])
        ratio = None
        if peer:
            with peers.server(peer) as env:
                path = _program(folder, "theirs.py", programs.TRIVIAL, "prefect")
                ratio = median(lambda: cpu_and_wall([peer.python, path], env)[1], 3) / ours
    yield Figure(
        "python trivial_flow.py, server running: wall", ours, "s", "<= 0.35", ours <= 0.35, ratio, _faster(peer)
    )


def tasks(peer: peers.Peer | None, *, count: int = 2000, **_: Any) -> Iterator[Figure]:
    for mode, budget in (("submitted", 2000), ("sequence", 1000)):
        with tempfile.TemporaryDirectory() as folder:
            with testing.server() as server:
                path = _program(folder, "ours.py", programs.TASKS, "penstock")
                ours = max(count / _seconds([sys.executable, path, mode, str(count)], server.env) for _ in range(3))
            ratio = None
            if peer:
                with peers.server(peer) as env:
                    path = _program(folder, "theirs.py", programs.TASKS, "prefect")
                    ratio = ours / (100 / _seconds([peer.python, path, mode, "100"], env))
        yield Figure(f"{count} no-op tasks, {mode}", ours, "/s", f">= {budget}", ours >= budget, ratio, _faster(peer))


def latency(peer: peers.Peer | None, *, samples: int = 40, **_: Any) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, testing.server() as server, testing.agent(server, "-q", "default"):
        deployment = _deploy(server, folder)
        took = [_launch(server, deployment, f"{folder}/probe-{i}") for i in range(samples + 3)][3:]
    p50, p95 = percentile(took, 0.5), percentile(took, 0.95)
    ratio = _peer_latency(peer) / p50 if peer else None
    yield Figure("run asked for -> its code runs: p50", p50, "s", "<= 0.15", p50 <= 0.15, ratio, _faster(peer))
    yield Figure("run asked for -> its code runs: p95", p95, "s", "<= 0.4", p95 <= 0.4)


def burst(peer: peers.Peer | None, *, runs: int = 100, **_: Any) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, testing.server() as server, testing.agent(server, "-q", "default"):
        deployment = _deploy(server, folder)
        _launch(server, deployment, f"{folder}/warm")
        with get_sync_client(server.api_url) as client:
            start = time.perf_counter()
            with ThreadPoolExecutor(8) as pool:
                ids = list(pool.map(lambda i: _ask(client, deployment, f"{folder}/probe-{i}"), range(runs)))
            wait_all(client, ids)
            took = time.perf_counter() - start
        assert len(list(Path(folder).glob("probe-*"))) == runs
    rate = runs / took
    yield Figure(f"burst of {runs} deployed runs", rate, "runs/s", ">= 20", rate >= 20)


def memory(peer: peers.Peer | None, *, attempts: int = 200, **_: Any) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, testing.server(forked=False) as server:
        time.sleep(5)
        used = resident_mb(server.pid)
        yield Figure("resident memory: server, idle", used, "MB", "<= 110", used <= 110)
        with testing.agent(server, "-q", "default") as agent, get_sync_client(server.api_url) as client:
            deployment = _deploy(server, folder, "staying", programs.STAYING)
            go = f"{folder}/go"
            ids = [_ask(client, deployment, go, name="go") for _ in range(attempts)]
            wait_all(client, ids, "RUNNING")
            used = resident_mb(agent.pid)
            Path(go).touch()
            wait_all(client, ids)
        yield Figure(f"resident memory: agent, {attempts} open attempts", used, "MB", "<= 90", used <= 90)


def lists(peer: peers.Peer | None, *, runs: int = 1_000_000, **_: Any) -> Iterator[Figure]:
    from bench.fill import fill

    with testing.server() as server:
        server.stop()
        fill(Path(server.home) / "penstock.db", runs)
        server.restart()
        with get_sync_client(server.api_url) as client:
            newest = client.send(flow_runs.read_flow_runs(sort="EXPECTED_START_TIME_DESC", limit=1))[0]
            queries = {
                "newest 50 runs": flow_runs.read_flow_runs(sort="EXPECTED_START_TIME_DESC", limit=50),
                "newest 50 failed": flow_runs.read_flow_runs(
                    flow_run_filter={"state": {"type": {"any_": ["FAILED"]}}}, sort="EXPECTED_START_TIME_DESC", limit=50
                ),
                "newest 50 of a deployment": flow_runs.read_flow_runs(
                    flow_run_filter={"deployment_id": {"any_": [str(newest.deployment_id)]}},
                    sort="EXPECTED_START_TIME_DESC",
                    limit=50,
                ),
            }
            from penstock.client import admin

            queries["home counters"] = admin.read_counters()  # type: ignore[assignment]
            for name, call in queries.items():
                took = []
                for _ in range(60):
                    start = time.perf_counter()
                    client.send(call)
                    took.append(time.perf_counter() - start)
                p95 = percentile(took, 0.95) * 1000
                yield Figure(f"{name}, {runs:,} runs: p95", p95, "ms", "<= 50", p95 <= 50)


def writers(peer: peers.Peer | None, *, clients: int = 50, seconds: float = 10, **_: Any) -> Iterator[Figure]:
    with testing.server() as server, get_sync_client(server.api_url) as client:
        flow = client.send(flows.create_flow(FlowCreate(name="written")))
        took: list[float] = []
        errors: list[str] = []
        end = time.perf_counter() + seconds

        def write(_: int) -> None:
            with get_sync_client(server.api_url) as mine:
                while time.perf_counter() < end:
                    start = time.perf_counter()
                    try:
                        run = mine.send(flow_runs.create_flow_run(FlowRunCreate(flow_id=flow.id)))
                        mine.send(flow_runs.set_flow_run_state(run.id, StateCreate(type=StateType.RUNNING)))
                        mine.send(flow_runs.set_flow_run_state(run.id, StateCreate(type=StateType.COMPLETED)))
                    except Exception as error:
                        errors.append(str(error))
                    took.append((time.perf_counter() - start) / 3)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(write, range(clients)))
    yield Figure(f"{clients} clients writing: errors", len(errors), "", "0", not errors)
    yield Figure(f"{clients} clients writing: writes", 3 * len(took) / seconds, "/s")
    yield Figure(f"{clients} clients writing: p99 of a write", percentile(took, 0.99) * 1000, "ms")


FIGURES = {
    "import": import_,
    "cli": cli,
    "trivial": trivial,
    "latency": latency,
    "burst": burst,
    "tasks": tasks,
    "memory": memory,
    "lists": lists,
    "writers": writers,
}


def _faster(peer: peers.Peer | None) -> str:
    return f"faster than {peer.name}" if peer else ""


def _program(folder: str, name: str, text: str, package: str) -> str:
    path = Path(folder) / name
    path.write_text(text.format(package=package))
    return str(path)


def _seconds(command: list[str], env: dict[str, str]) -> float:
    result = subprocess.run(command, env=environment(env), capture_output=True, text=True, check=True)
    return float(next(line for line in result.stdout.splitlines() if line.startswith("seconds")).split()[1])


def _deploy(server: testing.TestServer, folder: str, function: str = "probe", program: str = programs.PROBE) -> UUID:
    _program(folder, f"{function}.py", program, "penstock")
    with get_sync_client(server.api_url) as client:
        flow = client.send(flows.create_flow(FlowCreate(name=function)))
        return client.send(
            deployments.create_deployment(
                DeploymentCreate(
                    name="bench",
                    flow_id=flow.id,
                    path=folder,
                    entrypoint=f"{function}.py:{function}",
                    work_queue_name="default",
                )
            )
        ).id


def _ask(client: Any, deployment: UUID, path: str, name: str = "path") -> UUID:
    body = DeploymentFlowRunCreate(parameters={name: path})
    return client.send(flow_runs.create_flow_run_from_deployment(deployment, body)).id


def _launch(server: testing.TestServer, deployment: UUID, path: str) -> float:
    """Seconds from asking for a run until its code ran; returns when the run is over."""
    with get_sync_client(server.api_url) as client:
        start = time.time()
        run = _ask(client, deployment, path)
        wait_all(client, [run])
    return float(Path(path).read_text()) - start


def wait_all(client: Any, ids: list[UUID], state: str = "COMPLETED") -> None:
    """Return when all of them are in `state`. Counts, so that waiting costs the server next to nothing."""
    some = [str(i) for i in ids]
    deadline = time.monotonic() + 300

    def count(*states: str) -> int:
        wanted = {"id": {"any_": some}, "state": {"type": {"any_": list(states)}}}
        return int(client.send(flow_runs.count_flow_runs(flow_run_filter=wanted)))

    while count(state) < len(ids):
        assert not count("FAILED", "CRASHED", "CANCELLED"), "a run did not complete"
        assert time.monotonic() < deadline, f"the runs were not all {state} within 300 s"
        time.sleep(0.02 if len(ids) == 1 else 0.1)


def _peer_latency(peer: peers.Peer, samples: int = 3) -> float:
    """The same for the peer: deployment, agent, process. Median of a few, as each takes long."""
    took = []
    with tempfile.TemporaryDirectory() as folder, peers.server(peer) as env, contextlib.ExitStack() as stack:
        _program(folder, "probe.py", programs.PROBE, "prefect")
        prefect = peer.program("prefect")
        subprocess.run(
            [prefect, "deployment", "build", "probe.py:probe", "-n", "bench", "-q", "default", "--apply"],
            cwd=folder,
            env=environment(env),
            check=True,
            capture_output=True,
        )
        agent = subprocess.Popen(
            [prefect, "agent", "start", "-q", "default"],
            cwd=folder,
            env=environment(env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(agent.wait)
        stack.callback(agent.terminate)
        for i in range(samples):
            path = Path(folder) / f"probe-{i}"
            start = time.time()
            subprocess.run(
                [prefect, "deployment", "run", "probe/bench", "--params", json.dumps({"path": str(path)})],
                env=environment(env),
                check=True,
                capture_output=True,
            )
            deadline = time.monotonic() + 120
            while not path.exists() or not path.read_text():
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{peer.name}: the run did not start within 120 s")
                time.sleep(0.05)
            took.append(float(path.read_text()) - start)
    return sorted(took)[len(took) // 2]
