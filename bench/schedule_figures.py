"""Figures about schedules: what it costs to plan the runs of many."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from bench import peer as peers
from bench.measure import Figure
from penstock import clock
from penstock.server.database import migrate
from penstock.server.database import tables as t
from penstock.server.database.connection import Database, Transaction
from penstock.server.operations.plan_runs import find_due_schedules, plan_runs
from penstock.server.services.scheduler import BATCH

_SCHEDULES: tuple[dict[str, Any], ...] = (
    {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin", "day_or": True},
    {"interval": 3600.0, "anchor_date": None, "timezone": None},
    {"rrule": "FREQ=DAILY;BYHOUR=9", "timezone": "Asia/Tokyo"},
)


def schedules(peer: peers.Peer | None, *, schedules: int = 10_000, **_: Any) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        database = _database(folder, "planned")
        database.submit_write(_fill, schedules).result()
        start = time.perf_counter()
        while due := database._read(find_due_schedules, (BATCH,), {}):
            database.submit_write(plan_runs, due).result()
        took = time.perf_counter() - start
        runs, states = (database._read(_rows, (table,), {}) for table in (t.flow_run, t.flow_run_state))
        database.close()
        bare = _bare(folder, runs, states)
    yield Figure(
        f"{schedules:,} schedules planned, {len(runs):,} runs",
        took,
        "s",
        "<= 5",
        took <= 5,
        took / bare,
        "the bare inserts",
    )


def _database(folder: str, name: str) -> Database:
    url = f"sqlite:///{Path(folder) / name}.db"
    migrate.upgrade(url)
    return Database(url)


def _fill(tx: Transaction, count: int) -> None:
    stamps = {"created": clock.now(), "updated": clock.now()}
    flow = {"id": uuid4(), **stamps, "name": "filled", "tags": []}
    same = {"is_schedule_active": True, "paused": False, "infra_overrides": {}, "parameters": {"x": 1}, "tags": ["a"]}
    deployments = [
        {"id": uuid4(), **stamps, **same, "name": f"d{n}", "flow_id": flow["id"], "enforce_parameter_schema": False}
        for n in range(count)
    ]
    rows = [
        {
            "id": uuid4(),
            **stamps,
            "deployment_id": row["id"],
            "schedule": _SCHEDULES[n % len(_SCHEDULES)],
            "active": True,
            "catchup": False,
        }
        for n, row in enumerate(deployments)
    ]
    for table, values in ((t.flow, [flow]), (t.deployment, deployments), (t.deployment_schedule, rows)):
        tx.execute(table.insert(), values)


def _rows(tx: Transaction, table: sa.Table) -> list[tuple[Any, ...]]:
    """The rows of a table as the database keeps them."""
    return [tuple(row) for row in tx.connection.exec_driver_sql(f"SELECT * FROM {table.name}")]


def _bare(folder: str, runs: list[tuple[Any, ...]], states: list[tuple[Any, ...]]) -> float:
    """Seconds of a loop that does nothing but insert the same rows, in as many transactions."""
    database = _database(folder, "bare")
    with database.engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        raw.execute("PRAGMA foreign_keys=OFF")
        pairs = [(t.flow_run.name, runs), (t.flow_run_state.name, states)]
        parts = max(1, len(runs) // (BATCH * 3))
        start = time.perf_counter()
        for part in range(parts):
            raw.execute("BEGIN IMMEDIATE")
            for name, rows in pairs:
                mine = rows[part * len(rows) // parts : (part + 1) * len(rows) // parts]
                raw.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(mine[0]))})", mine)
            raw.execute("COMMIT")
        took = time.perf_counter() - start
    database.close()
    return took


FIGURES = {"schedules": schedules}
