"""Slots of tag limits for a task run of a client that asks for every state: with its RUNNING state, or not at all."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.base import new_id
from penstock.model.states import State, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import lock_tag_limits, slots_of_limits
from penstock.server.database.tables import concurrency_slot


@dataclass(frozen=True)
class TagLimit:
    """A limit on one of the tags of a task run. `holds`: whether the task run has its slot already."""

    id: UUID
    tag: str
    is_full: bool
    holds: bool


def limits_of(tx: Transaction, run: sa.Row[Any]) -> list[TagLimit]:
    """The limits on tags of `run`, a row of task_run, in the order of the tags. Nobody else counts their slots until the end."""
    rows = lock_tag_limits(tx, run.tags)
    taken = [slot for slot in slots_of_limits(tx, [row.id for row in rows]) if _holds(tx, slot)]
    found = []
    for row in rows:
        holders = {slot.holder_id for slot in taken if slot.limit_id == row.id}
        holds = run.id in holders
        is_full = not holds and len(holders) >= row.concurrency_limit
        found.append(TagLimit(row.id, row.tag, is_full, holds))
    return sorted(found, key=lambda limit: limit.tag)


def take_slots(tx: Transaction, run: sa.Row[Any], state: State, limits: list[TagLimit]) -> None:
    """`run` runs now, in `state`: it holds a slot of each of `limits` from now on."""
    if state.type is not StateType.RUNNING:
        return
    common = {"holder_id": run.id, "slots": 1, "flow_run_id": run.flow_run_id, "created": tx.now, "updated": tx.now}
    rows = [{"id": new_id(), "limit_id": limit.id, **common} for limit in limits if not limit.holds]
    if rows:
        tx.execute(sa.insert(concurrency_slot), rows)


def _holds(tx: Transaction, slot: sa.Row[Any]) -> bool:
    return slot.expires_at is None or slot.expires_at > tx.now
