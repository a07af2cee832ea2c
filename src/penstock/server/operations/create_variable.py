import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.base import new_id
from penstock.model.variables import Variable, VariableCreate
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.database.rows import clean
from penstock.server.database.tables import variable


def create_variable(tx: Transaction, asked: VariableCreate) -> Variable:
    """The new variable. Raises Conflict if the name is taken, unless by this very request, sent before."""
    values = {
        "id": asked.id or new_id(),
        "created": tx.now,
        "updated": tx.now,
        "name": asked.name,
        "value": clean(asked.value),
        "tags": asked.tags or [],
    }
    is_new = insert_if_absent(tx, variable, values)
    row = tx.execute(sa.select(variable).where(variable.c.name == asked.name)).one_or_none()
    if row is None or not (is_new or row.id == asked.id):
        raise taken(asked.name)
    return Variable(**row._mapping)


def taken(name: str) -> Conflict:
    return Conflict(
        f"There is a variable {name!r} already.",
        code="variable_exists",
        hint="Change that one (Variable.set with overwrite=True), or choose another name.",
    )
