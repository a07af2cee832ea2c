"""Many clients at once, and a server that dies and returns: nothing is lost, nothing doubled."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

from penstock.client import flow_runs, flows, logs, task_runs
from penstock.client.sync import SyncClient, get_sync_client
from penstock.clock import monotonic, now
from penstock.errors import APIError
from penstock.model.flow_runs import FlowRunCreate
from penstock.model.flows import FlowCreate
from penstock.model.logs import LogCreate
from penstock.model.states import StateCreate, StateType
from penstock.model.task_runs import TaskRunCreate
from penstock.testing import server, wait_until

SOAK = bool(os.environ.get("PENSTOCK_TEST_SOAK"))


def write_like_a_run(client: SyncClient, number: int) -> int:
    """One flow run with a task run, states and logs, as an eager client writes them. Returns the number of requests."""
    flow = client.send(flows.create_flow(FlowCreate(name=f"flow-{number % 7}")))
    run = client.send(flow_runs.create_flow_run(FlowRunCreate(flow_id=flow.id)))
    task = TaskRunCreate(flow_run_id=run.id, task_key="t", dynamic_key="0")
    made = client.send(task_runs.create_task_run(task))
    client.send(task_runs.set_task_run_state(made.id, StateCreate(type=StateType.RUNNING)))
    line = LogCreate(name="n", level=20, message="m", timestamp=now(), flow_run_id=run.id)
    client.send(logs.create_logs([line] * 5))
    client.send(flow_runs.set_flow_run_state(run.id, StateCreate(type=StateType.PENDING)))
    return 6


def hammer(api_url: str, writers: int, seconds: float) -> tuple[list[float], list[Exception]]:
    """`writers` clients that write for `seconds`: how long each request took on average, per round, and what failed."""
    took: list[float] = []
    failed: list[Exception] = []
    end = monotonic() + seconds

    def write(number: int) -> None:
        with get_sync_client(api_url, max_retries=0, timeout=120) as client:
            while monotonic() < end:
                started = monotonic()
                try:
                    requests = write_like_a_run(client, number)
                except APIError as error:
                    failed.append(error)
                else:
                    took.append((monotonic() - started) / requests)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    return took, failed


def test_fifty_clients_that_write_to_sqlite_never_meet_a_lock(record_property: Callable[[str, object], None]) -> None:
    seconds = 60.0 if SOAK else 4.0
    with server() as running:
        took, failed = hammer(running.api_url, 50, seconds)
        with running.client() as client:
            runs = client.send(flow_runs.count_flow_runs())
        assert "locked" not in running.output
    assert failed == []
    assert runs == len(took) > 0
    took.sort()
    p50, p99 = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
    record_property("p99", p99)
    rate = len(took) * 6 / seconds
    print(f"50 writers, {seconds:g} s: {rate:.0f} requests/s, p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, 0 errors")


def test_what_is_asked_of_a_server_that_dies_and_comes_back_happens_exactly_once() -> None:
    with server() as running:
        with running.client() as client:
            flow = client.send(flows.create_flow(FlowCreate(name="f")))
        stop = threading.Event()
        made: list[list[UUID]] = [[] for _ in range(4)]
        failed: list[Exception] = []

        def make(mine: list[UUID]) -> None:
            with get_sync_client(running.api_url, max_retries=60) as client:
                while not stop.is_set():
                    try:
                        mine.append(client.send(flow_runs.create_flow_run(FlowRunCreate(flow_id=flow.id))).id)
                    except APIError as error:
                        failed.append(error)

        threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
        for thread in threads:
            thread.start()
        try:
            for round_number in range(3):
                enough = sum(map(len, made)) + 20
                wait_until(partial(at_least, made, enough), 120, message=f"{enough} runs in round {round_number}")
                running.kill()
                running.restart()
            wait_until(partial(at_least, made, sum(map(len, made)) + 1), 120, message="a run after the last restart")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert failed == []
        known = [run_id for mine in made for run_id in mine]
        with running.client() as client:
            count = client.send(flow_runs.count_flow_runs())
        assert len(known) == len(set(known)) == count


def at_least(made: list[list[UUID]], count: int) -> bool:
    return sum(map(len, made)) >= count
