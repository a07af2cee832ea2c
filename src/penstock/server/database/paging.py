"""Pages of lists: by offset as clients know it, or by key, which costs the same however far one has read.

An order is a column and the id that breaks ties; NULL counts as later than everything. A cursor is the key of the last row
that was read: opaque to clients, refused if it belongs to another order.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Invalid
from penstock.model.filters import MAX_LIMIT
from penstock.server.database.connection import Transaction


@dataclass(frozen=True)
class Order:
    """`column` None: by id alone. `first`: a column that counts before `column`; neither may be null then. `read_id` turns the
    text of an id back."""

    id: sa.ColumnElement[Any]
    column: sa.ColumnElement[Any] | None = None
    descending: bool = False
    nullable: bool = False
    read_id: Callable[[str], Any] = UUID
    first: sa.ColumnElement[Any] | None = None

    def by(self) -> list[sa.ColumnElement[Any]]:
        def directed(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
            return column.desc() if self.descending else column.asc()

        if self.column is None:
            return [directed(self.id)]
        main = directed(self.column)
        if self.nullable:
            main = main.nulls_first() if self.descending else main.nulls_last()
        return [*([directed(self.first)] if self.first is not None else []), main, directed(self.id)]

    def beyond(self, column: sa.ColumnElement[Any], value: Any) -> sa.ColumnElement[bool]:
        """Whether `column` comes after `value` in this order."""
        found: sa.ColumnElement[bool] = column < value if self.descending else column > value
        return found


@dataclass(frozen=True)
class Cut:
    """Which part of a list: see `penstock.model.filters.Page`. `name` is that of the order."""

    name: str
    limit: int | None = None
    offset: int = 0
    cursor: str | None = None


@dataclass(frozen=True)
class Paged:
    """The rows of a page, and the cursor of the next one if there may be more."""

    rows: Sequence[sa.Row[Any]]
    next_cursor: str | None


def read_page(tx: Transaction, statement: sa.Select[Any], order: Order, cut: Cut) -> Paged:
    """The rows of `statement` in `order` that `cut` asks for. The statement selects the order's columns."""
    limit = MAX_LIMIT if cut.limit is None else min(cut.limit, MAX_LIMIT)
    if cut.cursor is None:
        ordered = statement.order_by(*order.by()).limit(limit).offset(cut.offset or None)
        rows = list(tx.execute(ordered).all())
    else:
        rows = _after(tx, statement, order, *_decode(cut, order), limit)
    more = bool(rows) and len(rows) == limit
    return Paged(rows, _encode(cut.name, order, rows[-1]) if more else None)


def _after(
    tx: Transaction, statement: sa.Select[Any], order: Order, key: Any, last_id: Any, limit: int
) -> list[sa.Row[Any]]:
    """What follows a key. Where NULLs are possible the two parts of the list are read one after the other, each by index."""
    tie = order.beyond(order.id, last_id)
    by = order.by()
    if order.column is None:
        return list(tx.execute(statement.where(tie).order_by(*by).limit(limit)).all())
    if order.first is not None:
        columns = (order.first, order.column, order.id)
        values = (sa.literal(value, column.type) for value, column in zip((*key, last_id), columns, strict=True))
        beyond = order.beyond(sa.tuple_(*columns), sa.tuple_(*values))
        return list(tx.execute(statement.where(beyond).order_by(*by).limit(limit)).all())
    column = order.column
    absent, present = column.is_(None), column.is_not(None)
    if key is None:
        parts = [sa.and_(absent, tie), *([present] if order.descending else [])]
    else:
        pair, last = (
            sa.tuple_(column, order.id),
            sa.tuple_(sa.literal(key, column.type), sa.literal(last_id, order.id.type)),
        )
        parts = [order.beyond(pair, last), *([absent] if order.nullable and not order.descending else [])]
    rows: list[sa.Row[Any]] = []
    for part in parts:
        if len(rows) < limit:
            directed = [order.id.desc() if order.descending else order.id.asc()]
            plain = [column.desc() if order.descending else column.asc(), *directed]
            rows += tx.execute(statement.where(part).order_by(*plain).limit(limit - len(rows))).all()
    return rows


def _encode(name: str, order: Order, row: sa.Row[Any]) -> str:
    value = getattr(row, order.column.key) if order.column is not None and order.column.key else None
    if isinstance(value, datetime):
        value = {"time": value.isoformat()}
    if order.first is not None:
        value = [getattr(row, str(order.first.key)), value]
    key = json.dumps([name, value, str(getattr(row, str(order.id.key)))])
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _decode(cut: Cut, order: Order) -> tuple[Any, Any]:
    text = cut.cursor or ""
    try:
        name, value, last_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(value, dict):
            value = datetime.fromisoformat(value["time"])
        decoded = value, order.read_id(last_id)
    except (ValueError, TypeError, KeyError):
        raise Invalid(
            "The cursor is not one that this server gave", code="cursor", hint="Start without a cursor"
        ) from None
    if name != cut.name:
        raise Invalid(
            f"The cursor belongs to the order {name}, not {cut.name}", code="cursor", hint="Start without a cursor"
        )
    return decoded
