"""Read, list and count variables."""

from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.filters import MAX_LIMIT
from penstock.model.variables import Variable, VariableCount, VariableQuery, VariableSort
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Conditions
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.database.statements import read_row
from penstock.server.database.tables import variable

_C = variable.c
ORDERS = {
    VariableSort.CREATED_DESC: Order(_C.id, _C.created, descending=True),
    VariableSort.UPDATED_DESC: Order(_C.id, _C.updated, descending=True),
    VariableSort.NAME_DESC: Order(_C.id, _C.name, descending=True),
    VariableSort.NAME_ASC: Order(_C.id, _C.name),
}


def read_variable(tx: Transaction, variable_id: UUID) -> Variable:
    """Raises NotFound."""
    row = read_row(tx, variable, variable_id)
    if row is None:
        raise no_variable(variable_id)
    return Variable(**row._mapping)


def read_variable_by_name(tx: Transaction, name: str) -> Variable:
    """Raises NotFound with the nearest name."""
    row = tx.execute(sa.select(variable).where(_C.name == name)).one_or_none()
    if row is None:
        raise no_variable_named(tx, name)
    return Variable(**row._mapping)


def read_variables(tx: Transaction, query: VariableQuery) -> tuple[list[Variable], str | None]:
    """A page of variables, and the cursor of the next page if there may be one."""
    statement = sa.select(variable).where(*Conditions(tx.dialect).variable(query.variables))
    cut = Cut(query.sort.value, query.limit, query.offset, query.cursor)
    page = read_page(tx, statement, ORDERS[query.sort], cut)
    return [Variable(**row._mapping) for row in page.rows], page.next_cursor


def count_variables(tx: Transaction, query: VariableCount) -> int:
    conditions = Conditions(tx.dialect).variable(query.variables)
    return int(tx.execute(sa.select(sa.func.count()).select_from(variable).where(*conditions)).scalar_one())


def no_variable(variable_id: UUID) -> NotFound:
    return NotFound("Variable not found", code="variable_not_found", hint=f"There is no variable {variable_id}.")


def no_variable_named(tx: Transaction, name: str) -> NotFound:
    names = tx.execute(sa.select(_C.name).order_by(_C.name).limit(MAX_LIMIT)).scalars()
    return NotFound(f"There is no variable {name!r}.{did_you_mean(name, names)}", code="variable_not_found")
