from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.variables import VariableUpdate
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.tables import variable
from penstock.server.operations.create_variable import taken
from penstock.server.operations.read_variables import no_variable, no_variable_named


def update_variable(tx: Transaction, variable_id: UUID, change: VariableUpdate) -> None:
    """Change the fields that are given. Raises NotFound, or Conflict if the new name is taken."""
    if not _update(tx, variable.c.id == variable_id, change):
        raise no_variable(variable_id)


def update_variable_by_name(tx: Transaction, name: str, change: VariableUpdate) -> None:
    """As `update_variable`."""
    if not _update(tx, variable.c.name == name, change):
        raise no_variable_named(tx, name)


def _update(tx: Transaction, which: sa.ColumnElement[bool], change: VariableUpdate) -> bool:
    values: dict[str, Any] = change.model_dump(exclude_none=True)
    if change.value is not None:
        values["value"] = clean(change.value)
    try:
        return tx.execute(sa.update(variable).where(which).values(**values, updated=tx.now)).rowcount == 1
    except sa.exc.IntegrityError as error:
        raise taken(str(change.name)) from error
