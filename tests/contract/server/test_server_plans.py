"""No list scans more than it shows: the plans of the queries that people and programs make all day."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from penstock.model.artifacts import ArtifactQuery, ArtifactSort, LatestArtifactQuery
from penstock.model.base import new_id
from penstock.model.filters import FlowRunQuery, LogQuery, TaskRunQuery
from penstock.model.flow_runs import FlowRunSort
from penstock.server.database.connection import Database, Transaction
from penstock.server.database.filters import Conditions
from penstock.server.database.rows import SELECT_FLOW_RUN, SELECT_TASK_RUN
from penstock.server.database.tables import artifact, artifact_collection, flow, flow_run, log
from penstock.server.operations import read_artifacts, read_flow_runs, read_logs, read_task_runs
from penstock.server.operations.insert_flow_run import DEFAULTS

ROWS = 3000


def _fill(tx: Transaction) -> tuple[Any, Any]:
    """Enough runs that a scan would be the wrong plan."""
    flow_id = new_id()
    tx.execute(sa.insert(flow).values(id=flow_id, created=tx.now, updated=tx.now, name="f", tags=[]))
    fixed = {**DEFAULTS, "created": tx.now, "updated": tx.now, "flow_id": flow_id, "expected_start_time": tx.now}
    kinds = ["COMPLETED"] * 98 + ["RUNNING", "SCHEDULED"]
    rows = [
        {
            **fixed,
            "id": new_id(),
            "name": f"n{i}",
            "state_type": kinds[i % 100],
            "start_time": tx.now,
            "end_time": tx.now,
        }
        for i in range(ROWS)
    ]
    tx.execute(sa.insert(flow_run), rows)
    line = {"created": tx.now, "name": "n", "level": 20, "message": "m", "timestamp": tx.now}
    tx.execute(sa.insert(log), [{**line, "id": new_id(), "flow_run_id": rows[i % 2]["id"]} for i in range(ROWS)])
    return flow_id, rows[0]["id"]


def _plan(tx: Transaction, statement: sa.Select[Any]) -> str:
    compiled = statement.compile(tx.connection, compile_kwargs={"literal_binds": False, "render_postcompile": True})
    how = "EXPLAIN QUERY PLAN " if tx.dialect == "sqlite" else "EXPLAIN "
    parameters: Any = compiled.construct_params()
    processors = compiled._bind_processors
    values = {key: processors[key](value) if key in processors else value for key, value in parameters.items()}
    ordered = tuple(values[name] for name in compiled.positiontup) if compiled.positiontup else values
    rows = tx.connection.exec_driver_sql(how + str(compiled), ordered).all()
    return "\n".join(str(row[-1]) for row in rows)


def _assert_by_index(tx: Transaction, statement: sa.Select[Any], table: str) -> None:
    plan = _plan(tx, statement)
    if tx.dialect == "sqlite":
        scans = [line for line in plan.splitlines() if line.startswith(f"SCAN {table}") and "INDEX" not in line]
        assert scans == [], plan
        assert "USE TEMP B-TREE" not in plan, plan
    else:
        assert f"Seq Scan on {table} " not in plan, plan
        assert "Sort" not in plan, plan


@pytest.mark.parametrize("sort", list(FlowRunSort))
def test_every_order_of_flow_runs_is_served_by_an_index(database: Database, sort: FlowRunSort) -> None:
    def check(tx: Transaction) -> None:
        _fill(tx)
        _analyze(tx)
        order = read_flow_runs.ORDERS[sort]
        _assert_by_index(tx, SELECT_FLOW_RUN.order_by(*order.by()).limit(20), "flow_run")

    asyncio.run(database.write(check))


def _analyze(tx: Transaction) -> None:
    tx.connection.exec_driver_sql("ANALYZE")


@pytest.mark.parametrize(
    "given",
    [
        {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}},
        {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}},
    ],
)
def test_runs_of_a_rare_state_are_found_without_looking_at_the_others(
    database: Database, given: dict[str, Any]
) -> None:
    def check(tx: Transaction) -> None:
        _fill(tx)
        _analyze(tx)
        query = FlowRunQuery.model_validate({**given, "sort": "EXPECTED_START_TIME_DESC"})
        order = read_flow_runs.ORDERS[query.sort]
        conditions = Conditions(tx.dialect).flow_runs(query)
        _assert_by_index(tx, SELECT_FLOW_RUN.where(*conditions).order_by(*order.by()).limit(20), "flow_run")

    asyncio.run(database.write(check))


def test_logs_of_a_run_are_read_in_order_by_an_index(database: Database) -> None:
    def check(tx: Transaction) -> None:
        _, run_id = _fill(tx)
        _analyze(tx)
        query = LogQuery.model_validate({"logs": {"flow_run_id": {"any_": [str(run_id)]}}})
        order = read_logs.ORDERS[query.sort]
        statement = sa.select(log).where(*Conditions(tx.dialect).log(query.logs)).order_by(*order.by()).limit(200)
        _assert_by_index(tx, statement, "log")

    asyncio.run(database.write(check))


def test_task_runs_of_a_run_are_found_by_an_index(database: Database) -> None:
    def check(tx: Transaction) -> None:
        _, run_id = _fill(tx)
        query = TaskRunQuery.model_validate({"task_runs": {"flow_run_id": {"any_": [str(run_id)]}}})
        statement = SELECT_TASK_RUN.where(*Conditions(tx.dialect).task_runs(query)).limit(200)
        plan = _plan(tx, statement.order_by(*read_task_runs.ORDERS[query.sort].by()))
        assert "SCAN task_run" not in plan

    asyncio.run(database.write(check))


def _fill_artifacts(tx: Transaction) -> Any:
    """Artifacts of a few runs, a quarter of them without a key. Returns the id of one of the runs."""
    _fill(tx)
    run_ids = tx.execute(sa.select(flow_run.c.id).limit(ROWS // 10)).scalars().all()
    fixed = {"created": tx.now, "updated": tx.now, "type": "markdown"}
    rows = [
        {**fixed, "id": new_id(), "key": f"k{i % 1000}" if i % 4 else None, "flow_run_id": run_ids[i % len(run_ids)]}
        for i in range(ROWS)
    ]
    tx.execute(sa.insert(artifact), rows)
    latest = {row["key"]: row["id"] for row in rows if row["key"]}
    fixed = {"created": tx.now, "updated": tx.now}
    keys = [{**fixed, "id": new_id(), "key": key, "latest_id": latest_id} for key, latest_id in latest.items()]
    tx.execute(sa.insert(artifact_collection), keys)
    _analyze(tx)
    return run_ids[0]


def test_every_order_of_artifacts_is_served_by_an_index(database: Database) -> None:
    def check(tx: Transaction) -> None:
        _fill_artifacts(tx)
        for sort in ArtifactSort:
            order = read_artifacts.ORDERS[sort]
            _assert_by_index(tx, sa.select(artifact).order_by(*order.by()).limit(20), "artifact")

    asyncio.run(database.write(check))


def test_artifacts_of_a_run_and_versions_of_a_key_are_found_by_an_index(database: Database) -> None:
    def check(tx: Transaction) -> None:
        run_id = _fill_artifacts(tx)
        for part in ({"flow_run_id": {"any_": [str(run_id)]}}, {"key": {"any_": ["k1"]}}):
            query = ArtifactQuery.model_validate({"artifacts": part, "sort": "CREATED_DESC"})
            statement = sa.select(artifact).where(*Conditions(tx.dialect).artifacts(query)).limit(20)
            plan = _plan(tx, statement.order_by(*read_artifacts.ORDERS[query.sort].by()))
            assert "SCAN artifact" not in plan, plan
            assert "Seq Scan" not in plan, plan

    asyncio.run(database.write(check))


class _Listener(Transaction):
    """A transaction that remembers what was asked."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx.connection, tx.now)
        self.asked: list[Any] = []

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        self.asked.append(statement)
        return super().execute(statement, parameters)


def test_the_newest_artifacts_of_keys_are_found_by_an_index(database: Database) -> None:
    def check(tx: Transaction) -> None:
        _fill_artifacts(tx)
        listener = _Listener(tx)
        assert read_artifacts.read_latest_artifact(listener, "k1").key == "k1"
        query = LatestArtifactQuery(sort=ArtifactSort.KEY_ASC, limit=20)
        assert len(read_artifacts.read_latest_artifacts(listener, query)[0]) == 20
        assert len(listener.asked) == 2
        for statement in listener.asked:
            plan = _plan(tx, statement)
            assert "SCAN artifact\n" not in plan + "\n", plan
            assert "Seq Scan on artifact " not in plan, plan

    asyncio.run(database.write(check))
