"""Insert or update many rows with one prepared statement and no object per row.

SQLAlchemy makes the statement and knows how each column's values travel; the rows themselves go to the driver as they are. That
halves what a batch of reports costs.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.server.database.connection import Transaction

#: Rows of one INSERT into SQLite, which takes 40% less time than a statement for each.
ROWS_AT_ONCE = 100
#: A column's name and how its values are bound; None: as they are.
Binder = tuple[str, Callable[[Any], Any] | None]


def ordered_ids(count: int, now: datetime) -> list[UUID]:
    """New ids in ascending order, after all those of earlier moments: UUIDs of version 7 (RFC 9562).

    For rows that come by the thousands: their indexes grow at the end, instead of changing on every page. 30,000 planned runs
    take half as long as with random ids.
    """
    stamp = int(now.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62
    chance = sorted(secrets.randbits(74) for _ in range(count))
    return [UUID(int=stamp | (bits >> 62) << 64 | bits & (1 << 62) - 1) for bits in chance]


def insert_many(
    tx: Transaction, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, unless: tuple[str, ...] | None = None
) -> int:
    """Insert `rows`, which all have the keys of the first. Returns how many were inserted.

    `unless`: columns of a unique key; a row whose key is there already is left out. None: such a row is an error.
    """
    if not rows:
        return 0
    text, binders = _insert(tx.connection.dialect, table, tuple(rows[0]), unless)
    return _run(tx, text, binders, rows)


def insert_columns(tx: Transaction, table: sa.Table, columns: Mapping[str, Sequence[Any]]) -> int:
    """Insert rows that are given column by column, all of one length. Returns how many there were.

    For what comes by the thousands: there is no object per row, and a value that is the same in neighbouring rows is
    made ready for the database once. Ids may be given as 32 hexadecimal digits.
    """
    text, binders = _insert(tx.connection.dialect, table, tuple(columns), None)
    ready = [columns[name] if _is_ready(columns[name]) else _bound(columns[name], bind) for name, bind in binders]
    rows: list[Any] = list(zip(*ready, strict=True))
    if tx.dialect == "postgresql":
        names = [name for name, _ in binders]
        if rows:
            tx.connection.exec_driver_sql(text, [dict(zip(names, row, strict=True)) for row in rows])
        return len(rows)
    whole = len(rows) - len(rows) % ROWS_AT_ONCE
    for start in range(0, whole, ROWS_AT_ONCE):
        values = tuple(chain.from_iterable(rows[start : start + ROWS_AT_ONCE]))
        tx.connection.exec_driver_sql(_for_many(text), values)
    if rows[whole:]:
        tx.connection.exec_driver_sql(text, rows[whole:])
    return len(rows)


@lru_cache(maxsize=8)
def _for_many(text: str) -> str:
    """The INSERT of one row as one of `ROWS_AT_ONCE` rows."""
    head, values, row = text.partition(" VALUES ")
    return head + values + ", ".join([row] * ROWS_AT_ONCE)


def _is_ready(values: Sequence[Any]) -> bool:
    """Whether these are texts, which need nothing done to them."""
    return bool(values) and isinstance(values[0], str)


def _bound(values: Sequence[Any], bind: Callable[[Any], Any] | None) -> Sequence[Any]:
    if bind is None:
        return values
    found, before, ready = [], None, bind(None)
    for value in values:
        if value is not before:
            before, ready = value, bind(value)
        found.append(ready)
    return found


def update_many(tx: Transaction, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Update by ``id``: each row holds that and the columns to set. Returns how many were found."""
    if not rows:
        return 0
    text, binders = _update(tx.connection.dialect, table, tuple(name for name in rows[0] if name != "id"))
    return _run(tx, text, binders, rows)


@lru_cache(maxsize=64)
def _insert(
    dialect: sa.Dialect, table: sa.Table, names: tuple[str, ...], unless: tuple[str, ...] | None
) -> tuple[str, tuple[Binder, ...]]:
    insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    statement: Any = insert(table).values({name: sa.bindparam(name) for name in names})
    if unless is not None:
        statement = statement.on_conflict_do_nothing(index_elements=list(unless))
    return _compiled(dialect, statement, table)


@lru_cache(maxsize=64)
def _update(dialect: sa.Dialect, table: sa.Table, names: tuple[str, ...]) -> tuple[str, tuple[Binder, ...]]:
    statement = sa.update(table).where(table.c.id == sa.bindparam("b_id", type_=table.c.id.type))
    values = {name: sa.bindparam(f"b_{name}", type_=table.c[name].type) for name in names}
    return _compiled(dialect, statement.values(values), table)


def _compiled(dialect: sa.Dialect, statement: Any, table: sa.Table) -> tuple[str, tuple[Binder, ...]]:
    compiled = statement.compile(dialect=dialect)
    order: Iterable[str] = compiled.positiontup or list(compiled.params)

    def binder(name: str) -> Binder:
        column = table.c[name.removeprefix("b_")]
        return name, column.type.dialect_impl(dialect).bind_processor(dialect)

    return str(compiled), tuple(binder(name) for name in order)


def _run(tx: Transaction, text: str, binders: tuple[Binder, ...], rows: Sequence[Mapping[str, Any]]) -> int:
    plain = [(name, name.removeprefix("b_"), bind) for name, bind in binders]
    parameters: list[Any]
    if tx.dialect == "postgresql":
        parameters = [{name: bind(row[key]) if bind else row[key] for name, key, bind in plain} for row in rows]
    else:
        parameters = [tuple(bind(row[key]) if bind else row[key] for _, key, bind in plain) for row in rows]
    return tx.connection.exec_driver_sql(text, parameters).rowcount
