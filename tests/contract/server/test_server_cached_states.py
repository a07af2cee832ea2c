"""Completed states with a cache key are found by it, whether they came in a report or were proposed."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from test_server_reports import STAMP, Engine
from wire import Api

from penstock.server.database.connection import Database, Transaction
from penstock.server.database.tables import task_run_state_cache
from penstock.server.operations.remember_cached_states import CachedState, remember_cached_states
from penstock.server.operations.remove_stale import remove_stale

REFERENCE = {"type": "reference", "storage_block_id": None, "storage_key": "/r", "serializer_type": "pickle"}


def cached(api: Api, key: str) -> Any:
    answer = api.post("/task_runs/cached_state", {"cache_key": key})
    assert answer.status == 200, answer
    return answer.body


def completed(engine: Engine, number: str, key: str, *, name: str | None = None, **details: Any) -> dict[str, Any]:
    report = engine.task(number, "PENDING", "RUNNING", "COMPLETED")
    report["states"][-1] |= {"data": REFERENCE, "state_details": {"cache_key": key, **details}}
    if name is not None:
        report["states"][-1]["name"] = name
    return report


def test_a_reported_state_is_found_by_its_cache_key(api: Api) -> None:
    key, engine = str(uuid4()), Engine(api, api.run("RUNNING")["id"])
    assert cached(api, key) is None
    report = completed(engine, "0", key)
    engine.send(report)
    found = cached(api, key)
    assert found["id"] == report["states"][-1]["id"]
    assert found["data"] == REFERENCE
    assert found["state_details"]["cache_key"] == key


def test_of_several_states_with_one_key_the_last_is_found(api: Api) -> None:
    key, engine = str(uuid4()), Engine(api, api.run("RUNNING")["id"])
    engine.send(completed(engine, "0", key))
    last = completed(engine, "2", key)
    engine.send(completed(engine, "1", key), last)
    assert cached(api, key)["id"] == last["states"][-1]["id"]


def test_a_state_that_was_itself_taken_from_the_cache_does_not_renew_it(api: Api) -> None:
    key, engine = str(uuid4()), Engine(api, api.run("RUNNING")["id"])
    engine.send(completed(engine, "0", key, name="Cached"))
    assert cached(api, key) is None


def test_an_expired_state_is_not_found(api: Api) -> None:
    engine = Engine(api, api.run("RUNNING")["id"])
    for key, distance, is_found in ((str(uuid4()), -1, False), (str(uuid4()), 3600, True)):
        until = (datetime.now(UTC) + timedelta(seconds=distance)).isoformat()
        engine.send(completed(engine, key, key, cache_expiration=until))
        assert (cached(api, key) is not None) is is_found


def test_a_state_that_may_not_follow_is_not_cached(api: Api) -> None:
    key, engine = str(uuid4()), Engine(api, api.run("RUNNING")["id"])
    failed = engine.task("0", "PENDING", "RUNNING", "FAILED")
    engine.send(failed)
    late = completed(engine, "0", key)
    late |= {"task_run_id": failed["task_run_id"], "states": late["states"][-1:]}
    late.pop("create")
    engine.send(late)
    assert cached(api, key) is None


def propose_running(api: Api, key: str, data: dict[str, Any]) -> Any:
    """The answer to a client that proposes to run a task whose key an engine has completed with `data`."""
    run_id = api.run("RUNNING")["id"]
    engine = Engine(api, run_id)
    report = completed(engine, "0", key)
    report["states"][-1]["data"] = data
    engine.send(report)
    other = api.post("/task_runs/", {"flow_run_id": run_id, "task_key": "t", "dynamic_key": "1", "name": "t-1"}).body
    proposed = {"type": "RUNNING", "state_details": {"cache_key": key}}
    answer = api.post(f"/task_runs/{other['id']}/set_state", {"state": proposed})
    assert answer.status == 201
    return answer.body


def test_clients_that_propose_every_state_get_cached_results_that_they_can_read(api: Api) -> None:
    literal = {"type": "literal", "value": None}
    for data in (REFERENCE, literal):
        answer = propose_running(api, str(uuid4()), data)
        assert answer["status"] == "REJECT"
        assert (answer["state"]["type"], answer["state"]["name"]) == ("COMPLETED", "Cached")
        assert answer["state"]["data"] == data


def test_clients_that_propose_every_state_run_what_they_could_not_read(api: Api) -> None:
    answer = propose_running(api, str(uuid4()), {**REFERENCE, "format": 1})
    assert (answer["status"], answer["state"]["name"]) == ("ACCEPT", "Running")


def test_what_such_a_client_completed_is_found_by_an_engine(api: Api) -> None:
    key, run_id = str(uuid4()), api.run("RUNNING")["id"]
    made = api.post("/task_runs/", {"flow_run_id": run_id, "task_key": "t", "dynamic_key": "0", "name": "t-0"}).body
    for kind in ("RUNNING", "COMPLETED"):
        state = {"type": kind, "data": REFERENCE, "state_details": {"cache_key": key}, "timestamp": STAMP.format(1)}
        assert api.post(f"/task_runs/{made['id']}/set_state", {"state": state}).body["status"] == "ACCEPT"
    assert cached(api, key)["data"] == REFERENCE


def test_expired_entries_are_cleaned_up_and_others_stay(database: Database) -> None:
    expirations = {"past": timedelta(seconds=-1), "future": timedelta(hours=1), "for ever": None}

    def fill(tx: Transaction) -> None:
        remember_cached_states(
            tx, [CachedState(key, uuid4(), tx.now + left if left else None) for key, left in expirations.items()]
        )

    def keys(tx: Transaction) -> set[str]:
        return set(tx.execute(sa.select(task_run_state_cache.c.cache_key)).scalars())

    async def story() -> set[str]:
        await database.write(fill)
        assert await database.write(remove_stale) == 1
        return await database.read(keys)

    assert asyncio.run(story()) == {"future", "for ever"}
