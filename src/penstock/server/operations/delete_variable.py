from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.tables import variable
from penstock.server.operations.read_variables import no_variable, no_variable_named


def delete_variable(tx: Transaction, variable_id: UUID) -> None:
    """Raises NotFound."""
    if tx.execute(sa.delete(variable).where(variable.c.id == variable_id)).rowcount == 0:
        raise no_variable(variable_id)


def delete_variable_by_name(tx: Transaction, name: str) -> None:
    """Raises NotFound with the nearest name."""
    if tx.execute(sa.delete(variable).where(variable.c.name == name)).rowcount == 0:
        raise no_variable_named(tx, name)
