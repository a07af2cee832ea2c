"""Fills a server's SQLite database with finished runs, to see what its lists cost when it is big."""

import json
import random
import sqlite3
import time
import uuid
from pathlib import Path

STATES = [("COMPLETED", "Completed")] * 90 + [("FAILED", "Failed")] * 7 + [("CRASHED", "Crashed")] * 3


def fill(path: Path, runs: int, *, deployments: int = 50) -> None:
    """Add `runs` finished runs of `deployments` deployments, one every few seconds up to now."""
    rng = random.Random(1)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    now = int(time.time() * 1e6)
    flow, pool_queue = uuid.uuid4().hex, connection.execute("SELECT id FROM work_queue LIMIT 1").fetchone()[0]
    _insert(connection, "flow", [dict(id=flow, created=now, updated=now, name="filled", tags="[]")])
    ids = [uuid.uuid4().hex for _ in range(deployments)]
    _insert(
        connection,
        "deployment",
        [
            dict(id=i, created=now, updated=now, name=f"filled-{n}", flow_id=flow, is_schedule_active=1, paused=0,
                 infra_overrides="{}", parameters="{}", tags="[]", enforce_parameter_schema=0, work_queue_id=pool_queue)
            for n, i in enumerate(ids)
        ],
    )  # fmt: skip
    parameters = json.dumps({"x": 1})
    for start in range(0, runs, 50_000):
        rows, states = [], []
        for n in range(start, min(start + 50_000, runs)):
            kind, name = rng.choice(STATES)
            at = now - (runs - n) * 3_000_000
            run, state = uuid.uuid4().hex, uuid.uuid4().hex
            rows.append(
                dict(id=run, created=at, updated=at, name=f"run-{n}", flow_id=flow, deployment_id=rng.choice(ids),
                     work_queue_id=pool_queue, work_queue_name="default", parameters=parameters, context="{}",
                     empirical_policy="{}", tags="[]", job_variables="{}", auto_scheduled=1, state_id=state,
                     state_type=kind, state_name=name, state_timestamp=at, run_count=1, expected_start_time=at,
                     start_time=at, end_time=at + 2_000_000, total_run_time=2.0, attempt_count=1, infra_failures=0)
            )  # fmt: skip
            states.append(dict(id=state, flow_run_id=run, type=kind, name=name, timestamp=at, state_details="{}"))
        _insert(connection, "flow_run", rows)
        _insert(connection, "flow_run_state", states)
    connection.execute("ANALYZE")
    connection.commit()
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, object]]) -> None:
    names = list(rows[0])
    marks = ", ".join("?" for _ in names)
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
    connection.executemany(statement, [tuple(row.values()) for row in rows])
    connection.commit()
