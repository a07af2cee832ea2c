"""Statements on one row by its id, each built once.

SQLAlchemy finds what it has compiled by looking at the whole statement. For one that is new in every call this costs more than
the database does; one that stays the same object is recognized at once.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.server.database.connection import Transaction


def read_row(tx: Transaction, table: sa.Table, row_id: UUID) -> sa.Row[Any] | None:
    return tx.execute(_select(table), {"b_id": row_id}).one_or_none()


def lock_row(tx: Transaction, table: sa.Table, row_id: UUID) -> sa.Row[Any] | None:
    """The row, locked until the end of the transaction."""
    return tx.execute(_select(table, lock=True), {"b_id": row_id}).one_or_none()


def insert_row(tx: Transaction, table: sa.Table, values: Mapping[str, Any]) -> None:
    tx.execute(_insert(table), values)


def insert_and_read(tx: Transaction, table: sa.Table, values: Mapping[str, Any]) -> sa.Row[Any]:
    """Insert a row and return it as it lies in the table."""
    return tx.execute(_insert(table, read=True), values).one()


def insert_unless(
    tx: Transaction, table: sa.Table, values: Mapping[str, Any], key: tuple[str, ...]
) -> sa.Row[Any] | None:
    """Insert a row and return it as it lies in the table; None if there is one with its values in the columns `key`."""
    return tx.execute(_insert_unless(tx.dialect, table, key), values).one_or_none()


def update_row(tx: Transaction, table: sa.Table, row_id: UUID, values: Mapping[str, Any]) -> bool:
    """Set columns to `values`; whether there is such a row."""
    return tx.execute(_update(table), {"b_id": row_id, **values}).rowcount == 1


def update_and_read(tx: Transaction, table: sa.Table, row_id: UUID, values: Mapping[str, Any]) -> sa.Row[Any]:
    """Set columns to `values` and return the row as it is then."""
    return tx.execute(_update(table, read=True), {"b_id": row_id, **values}).one()


def _by_id(table: sa.Table) -> sa.ColumnElement[bool]:
    # not "id": in an UPDATE that is the name of the column to set
    return table.c.id == sa.bindparam("b_id")


@cache
def _select(table: sa.Table, *, lock: bool = False) -> sa.Select[Any]:
    query = sa.select(table).where(_by_id(table))
    return query.with_for_update() if lock else query


@cache
def _insert(table: sa.Table, *, read: bool = False) -> sa.Executable:
    statement = sa.insert(table)
    return statement.returning(table) if read else statement


@cache
def _insert_unless(dialect: str, table: sa.Table, key: tuple[str, ...]) -> sa.Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing(index_elements=list(key)).returning(table)


@cache
def _update(table: sa.Table, *, read: bool = False) -> sa.Executable:
    statement = sa.update(table).where(_by_id(table))
    return statement.returning(table) if read else statement
