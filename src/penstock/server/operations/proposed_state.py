"""A proposed state becomes a state: with its id, its time, and nothing taken on trust."""

from datetime import datetime
from functools import cache
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.base import new_id
from penstock.model.states import State, StateCreate, StateDetails
from penstock.server.database.connection import Transaction


def state_of(proposed: StateCreate, now: datetime, not_before: datetime | None = None) -> State:
    """`proposed` as a state. Its own time counts unless that lies in the future, or before the state that it follows."""
    at = min(proposed.timestamp or now, now)
    if not_before is not None:
        at = max(at, not_before)
    return State(
        id=proposed.id or new_id(),
        type=proposed.type,
        name=proposed.name,
        timestamp=at,
        message=proposed.message,
        data=proposed.data,
        state_details=proposed.state_details or StateDetails(),
    )


def was_written(tx: Transaction, table: sa.Table, owner: sa.Column[UUID], run_id: UUID, proposed: StateCreate) -> bool:
    """Whether a state with the id of `proposed` was written for this run before. Raises Conflict if it is another run's."""
    if proposed.id is None:
        return False
    found = tx.execute(_owner_of(table, owner), {"state_id": proposed.id}).scalar_one_or_none()
    if found is not None and found != run_id:
        raise Conflict(f"The state id {proposed.id} belongs to another run", hint="Make a new id for every state.")
    return found is not None


@cache
def _owner_of(table: sa.Table, owner: sa.Column[UUID]) -> sa.Select[UUID]:
    return sa.select(owner).where(table.c.id == sa.bindparam("state_id"))
