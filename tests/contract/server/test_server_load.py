"""Many clients at once: nobody meets a lock, nothing is lost, and too many are asked to come again."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from wire import Api

from penstock.errors import APIError
from penstock.server.database import connection
from penstock.server.database.connection import Database, Transaction
from penstock.server.operations.change_counter import change_counters, read_counters
from penstock.testing import server

CLIENTS = 50
RUNS_EACH = 4


def test_fifty_clients_write_to_sqlite_and_none_meets_a_lock(capsys: pytest.CaptureFixture[str]) -> None:
    with server() as running, Api(running.api_url) as api:
        flow = api.flow()
        seconds: list[float] = []
        barrier = threading.Barrier(CLIENTS)

        def client(number: int) -> list[int]:
            statuses = []
            with Api(running.api_url) as mine:
                barrier.wait(timeout=60)
                for _ in range(RUNS_EACH):
                    run = mine.run("PENDING", flow_id=flow, name=f"client-{number}")["id"]
                    for kind in ("RUNNING", "COMPLETED"):
                        began = time.perf_counter()
                        statuses.append(mine.propose(run, kind).status)
                        seconds.append(time.perf_counter() - began)
            return statuses

        with ThreadPoolExecutor(CLIENTS) as pool:
            statuses = [status for answers in pool.map(client, range(CLIENTS)) for status in answers]
        assert set(statuses) == {201}
        assert api.post("/flow_runs/count", {"flows": {"id": {"any_": [flow]}}}).body == CLIENTS * RUNS_EACH
        assert api.get("/counters").body["flow_runs.state.COMPLETED"] == CLIENTS * RUNS_EACH
        assert "locked" not in running.output
    slowest = sorted(seconds)[int(len(seconds) * 0.99)]
    with capsys.disabled():
        print(f"\n{len(seconds)} set_state by {CLIENTS} clients on SQLite: p99 {slowest * 1000:.0f} ms")


def test_concurrent_proposals_of_the_same_step_are_taken_once(api: Api) -> None:
    run = api.run("SCHEDULED")["id"]

    def propose(_: int) -> str:
        with Api(api.url) as mine:
            return str(mine.propose(run, "PENDING").body["status"])

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(propose, range(8)))
    assert sorted(answers) == ["ABORT"] * 7 + ["ACCEPT"]


def test_concurrent_creation_with_one_key_makes_one_run(api: Api) -> None:
    body = {"flow_id": api.flow(), "idempotency_key": str(uuid4()), "state": {"type": "SCHEDULED"}}

    def create(_: int) -> tuple[int, str]:
        with Api(api.url) as mine:
            answer = mine.post("/flow_runs/", body)
            return answer.status, answer.body["id"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(8)))
    assert len({run for _, run in answers}) == 1
    assert sorted(status for status, _ in answers) == [200] * 7 + [201]


def test_when_too_many_writes_wait_the_next_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_WAITING", 20)
    gate, holding = threading.Event(), threading.Event()

    def hold(_tx: Transaction) -> None:
        holding.set()
        assert gate.wait(timeout=120)

    async def flood() -> str:
        held = [database.submit_write(hold)]
        assert holding.wait(timeout=120)  # else one group of the writer might take all the others along
        held += [database.submit_write(hold) for _ in range(40)]
        try:
            await database.write(hold)
        except APIError as error:
            return f"{error.code} {error.status}"
        finally:
            gate.set()
            await asyncio.gather(*(asyncio.wrap_future(future) for future in held))
        return "taken"

    assert asyncio.run(flood()) == "busy 503"


def test_one_that_fails_takes_nobody_along_who_was_to_be_committed_with_it(database: Database) -> None:
    gate = threading.Event()

    def hold(_tx: Transaction) -> None:
        assert gate.wait(timeout=120)

    def count(tx: Transaction, name: str) -> str:
        change_counters(tx, {name: 1, "all": 1})
        if "bad" in name:
            raise APIError(f"{name} cannot be counted", code="bad")
        return name

    first = database.submit_write(hold)
    futures = {name: database.submit_write(count, name) for name in ("one", "bad", "two", "as bad", "three")}
    gate.set()
    assert first.result(120) is None
    for name, future in futures.items():
        if "bad" in name:
            with pytest.raises(APIError, match=f"{name} cannot be counted"):
                future.result(120)
        else:
            assert future.result(120) == name
    with pytest.raises(APIError, match="bad alone"):
        database.submit_write(count, "bad alone").result(120)
    assert database.submit_write(read_counters).result(120) == {"all": 3, "one": 1, "two": 1, "three": 1}
