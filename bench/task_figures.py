"""What thousands of tasks in one flow cost: rate, memory, CPU, and what other clients of the server notice of it."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import peer as peers
from bench import programs, task_programs
from bench.measure import Figure, environment, percentile
from penstock import testing
from penstock.client import admin, flow_runs, get_sync_client

MODES = {"submitted": 2000, "sequence": 1000}
#: So many tasks the peer runs where we run thousands: it takes some 0.1 s for each.
PEER_TASKS = 200


def printed(python: str, text: str, package: str, arguments: list[str], env: dict[str, str]) -> float:
    """The value that the program prints last."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.py"
        path.write_text(text.format(package=package))
        done = subprocess.run(
            [python, str(path), *arguments], env=environment(env), capture_output=True, text=True, check=True
        )
    words = [line.split() for line in done.stdout.splitlines()]
    return float(next(w[1] for w in reversed(words) if len(w) == 2 and w[0] in {"seconds", "bytes", "cpu_ms"}))


def ours(text: str, *arguments: str, env: dict[str, str]) -> float:
    return printed(sys.executable, text, "penstock", list(arguments), env)


def theirs(peer: peers.Peer | None, text: str, *arguments: str) -> float | None:
    if peer is None:
        return None
    with peers.server(peer) as env:
        return printed(peer.python, text, "prefect", list(arguments), env)


def curve(peer: peers.Peer | None, **_: Any) -> Iterator[Figure]:
    """Tasks per second at three sizes: the curve is flat if the largest is as fast as the middle one."""
    for mode, budget in MODES.items():
        took = theirs(peer, programs.TASKS, mode, str(PEER_TASKS))
        rates: dict[int, float] = {}
        for count in (200, 1_000, 10_000):
            with testing.server() as server:
                tries = 1 if count == 10_000 else 3
                rates[count] = count / min(ours(programs.TASKS, mode, str(count), env=server.env) for _ in range(tries))
            rate = rates[count]
            ratio = rate / (PEER_TASKS / took) if took else None
            yield Figure(
                f"{count:,} no-op tasks, {mode}",
                rate,
                "/s",
                f">= {budget}",
                rate >= budget,
                ratio,
                f"faster than {peer.name} ({PEER_TASKS})" if peer else "",
            )
        flat = rates[10_000] / rates[1_000]
        yield Figure(f"10,000 tasks beside 1,000, {mode}", flat, "x", ">= 0.8", flat >= 0.8)


def growth(peer: peers.Peer | None, *, count: int = 20_000, **_: Any) -> Iterator[Figure]:
    for mode in MODES:
        with testing.server() as server:
            left = ours(task_programs.GROWTH, mode, str(count), env=server.env)
        other = theirs(peer, task_programs.GROWTH, mode, str(PEER_TASKS))
        yield Figure(
            f"left in memory by a finished task, {mode}",
            left,
            "bytes",
            "<= 1024",
            left <= 1024,
            other / max(left, 1.0) if other else None,
            f"less than {peer.name}" if peer else "",
        )


def cost(peer: peers.Peer | None, *, count: int = 5_000, **_: Any) -> Iterator[Figure]:
    for mode in MODES:
        with testing.server() as server:
            spent = ours(task_programs.COST, mode, str(count), env=server.env)
        other = theirs(peer, task_programs.COST, mode, str(PEER_TASKS))
        yield Figure(
            f"CPU of a task over its bare function, {mode}",
            spent,
            "ms",
            "<= 0.5",
            spent <= 0.5,
            other / spent if other else None,
            f"less than {peer.name}" if peer else "",
        )


def mapping(peer: peers.Peer | None, *, count: int = 1_000, **_: Any) -> Iterator[Figure]:
    for mode in ("async", "sync"):
        with testing.server() as server:
            took = ours(task_programs.MAPPING, mode, str(count), env=server.env)
        yield Figure(f"map of {count:,} async tasks that sleep 1 s, {mode} flow", took, "s", "<= 1.2", took <= 1.2)


def others(peer: peers.Peer | None, *, count: int = 10_000, **_: Any) -> Iterator[Figure]:
    """What another client waits for its answers while a flow runs thousands of tasks."""
    for mode in MODES:
        with testing.server() as server, get_sync_client(server.api_url) as client:
            over = threading.Event()

            def run(mode: str = mode, env: dict[str, str] = server.env, over: threading.Event = over) -> None:
                ours(programs.TASKS, mode, str(count), env=env)
                over.set()

            runner = threading.Thread(target=run)
            runner.start()
            waits: list[float] = []
            calls = [admin.read_counters(), flow_runs.read_flow_runs(sort="EXPECTED_START_TIME_DESC", limit=50)]
            while not over.is_set():
                for call in calls:
                    start = time.perf_counter()
                    client.send(call)
                    waits.append(time.perf_counter() - start)
                over.wait(0.02)
            runner.join()
        p99 = percentile(waits, 0.99) * 1000
        yield Figure(f"answers meanwhile, {count:,} tasks {mode}: p99", p99, "ms", "<= 50", p99 <= 50)


FIGURES = {"curve": curve, "growth": growth, "cost": cost, "mapping": mapping, "others": others}
