"""How many runs there were in each interval of a span, by state: counted where they lie."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from penstock.errors import Invalid
from penstock.model.filters import FlowRunCount, FlowRunHistoryQuery, HistorySpan, TaskRunHistoryQuery
from penstock.model.history import HistoryInterval, HistoryState
from penstock.model.states import StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Condition, Conditions
from penstock.server.database.rows import TERMINAL_TYPES
from penstock.server.database.tables import flow_run, task_run

MOST_INTERVALS = 500


def read_flow_run_history(tx: Transaction, query: FlowRunHistoryQuery) -> list[HistoryInterval]:
    """Flow runs by their expected start. Raises Invalid for a span that is empty or cut too finely."""
    return _history(tx, flow_run, query, Conditions(tx.dialect).flow_runs(query))


def read_task_run_history(tx: Transaction, query: TaskRunHistoryQuery) -> list[HistoryInterval]:
    """Task runs by their expected start."""
    return _history(tx, task_run, query, Conditions(tx.dialect).task_runs(query))


def read_average_lateness(tx: Transaction, query: FlowRunCount) -> float | None:
    """Seconds that runs started, or still are, behind their time, on average; None if there are none."""
    statement = sa.select(sa.func.avg(_lateness(tx, flow_run))).select_from(flow_run)
    value = tx.execute(statement.where(*Conditions(tx.dialect).flow_runs(query))).scalar_one()
    return float(value) if value is not None else None


def _history(tx: Transaction, table: sa.Table, span: HistorySpan, conditions: list[Condition]) -> list[HistoryInterval]:
    starts = _starts(span)
    step = timedelta(seconds=span.history_interval_seconds)
    begin, c = span.history_start, table.c
    since = _seconds(tx, c.expected_start_time) - begin.timestamp()
    bucket = sa.cast(sa.func.floor(since / span.history_interval_seconds), sa.Integer).label("bucket")
    statement = (
        sa.select(
            bucket,
            c.state_type,
            c.state_name,
            sa.func.count().label("runs"),
            sa.func.sum(_run_time(tx, table)).label("run_time"),
            sa.func.sum(_lateness(tx, table)).label("lateness"),
        )
        .where(c.expected_start_time >= begin, c.expected_start_time < span.history_end, c.state_type.is_not(None))
        .where(*conditions)
        .group_by(bucket, c.state_type, c.state_name)
        .order_by(bucket, c.state_type, c.state_name)
    )
    states: dict[int, list[HistoryState]] = {}
    for row in tx.execute(statement):
        states.setdefault(row.bucket, []).append(_state(row))
    ends = [min(start + step, span.history_end) for start in starts]
    return [
        HistoryInterval(interval_start=start, interval_end=end, states=states.get(index, []))
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _state(row: sa.Row[Any]) -> HistoryState:
    return HistoryState(
        state_type=row.state_type,
        state_name=row.state_name,
        count_runs=row.runs,
        sum_estimated_run_time=float(row.run_time or 0),
        sum_estimated_lateness=float(row.lateness or 0),
    )


def _starts(span: HistorySpan) -> list[datetime]:
    length = (span.history_end - span.history_start).total_seconds()
    if length <= 0:
        raise Invalid("history_end must be later than history_start", code="history_span")
    count = -int(-length // span.history_interval_seconds)
    if count > MOST_INTERVALS:
        raise Invalid(
            f"The span has {count} intervals; {MOST_INTERVALS} are the most",
            code="history_span",
            hint=f"Let history_interval_seconds be at least {length / MOST_INTERVALS:.0f}.",
        )
    return [span.history_start + timedelta(seconds=span.history_interval_seconds * i) for i in range(count)]


def _seconds(tx: Transaction, column: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    """A time as seconds since 1970."""
    if tx.dialect == "postgresql":
        return sa.cast(sa.func.extract("epoch", column), sa.Float)
    return sa.cast(sa.type_coerce(column, sa.BigInteger), sa.Float) * 1e-6


def _now(tx: Transaction) -> sa.ColumnElement[float]:
    return sa.literal(tx.now.timestamp(), sa.Float())


def _run_time(tx: Transaction, table: sa.Table) -> sa.ColumnElement[float]:
    running = table.c.state_type == StateType.RUNNING.value
    return table.c.total_run_time + sa.case((running, _now(tx) - _seconds(tx, table.c.state_timestamp)), else_=0.0)


def _lateness(tx: Transaction, table: sa.Table) -> sa.ColumnElement[float]:
    expected = _seconds(tx, table.c.expected_start_time)
    over = table.c.state_type.in_(TERMINAL_TYPES)
    started = table.c.start_time.is_not(None)
    late = sa.case((started, _seconds(tx, table.c.start_time) - expected), (over, 0.0), else_=_now(tx) - expected)
    return sa.case((late > 0, late), else_=0.0)
