from typing import Any

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.concurrency_limits import GlobalConcurrencyLimitUpdate
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import TOPIC
from penstock.server.database.tables import concurrency_limit_v2, concurrency_slot
from penstock.server.operations.read_global_concurrency_limits import find_global_limit
from penstock.server.rules.concurrency import decayed


def update_global_concurrency_limit(tx: Transaction, id_or_name: str, change: GlobalConcurrencyLimitUpdate) -> None:
    """Set the fields that were given. Raises NotFound, and Conflict if the new name is taken."""
    row = find_global_limit(tx, id_or_name)
    values: dict[str, Any] = change.model_dump(exclude_unset=True, exclude_none=True)
    if values.get("name", row.name) != row.name and _is_taken(tx, values["name"]):
        raise Conflict(f"There is a concurrency limit {values['name']!r} already", code="concurrency_limit_exists")
    slots = values.pop("active_slots", None)
    if slots is not None:
        tx.execute(sa.delete(concurrency_slot).where(concurrency_slot.c.limit_id == row.id))
        values |= {"slots": float(slots), "slots_at": tx.now}
    elif "slot_decay_per_second" in values:
        # until now they came free at the old rate
        values |= {"slots": decayed(row.slots, row.slots_at, row.slot_decay_per_second, tx.now), "slots_at": tx.now}
    table = concurrency_limit_v2
    tx.execute(sa.update(table).where(table.c.id == row.id).values(**values, updated=tx.now))
    tx.notify(TOPIC)


def _is_taken(tx: Transaction, name: str) -> bool:
    statement = sa.select(concurrency_limit_v2.c.id).where(concurrency_limit_v2.c.name == name)
    return tx.execute(statement).one_or_none() is not None
