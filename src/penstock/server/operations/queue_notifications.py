"""What is told of a run's new state is put down with the state itself: neither is ever there without the other."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from penstock.model.base import new_id
from penstock.model.notifications import DeliveryStatus
from penstock.model.states import State
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run_notification_policy as policy
from penstock.server.database.tables import notification_delivery as delivery
from penstock.server.rules.notifications import Watch

#: Topic of changes of policies, and of messages that wait to be sent.
POLICIES, MESSAGES = "notification-policies", "notifications"
#: Seconds after which a policy that was made on another server of this database counts here at the latest.
MEMORY_SECONDS = 2.0

_ACTIVE = sa.select(policy.c.id, policy.c.state_names, policy.c.tags).where(policy.c.is_active)


def queue_notifications(tx: Transaction, run: Any, state: State) -> None:
    """For each policy that tells of it, a message that `run`, a row of flow_run as it was before, has entered `state`.

    A run that is in the state already does not enter it once more.
    """
    watches = tx.memory.recall(POLICIES, lambda: _read(tx), MEMORY_SECONDS)
    if not watches or (run.state_name == state.name and run.state_type == state.type):
        return
    for watch in watches:
        if watch.fits(state.name, run.tags):
            values = {"row_id": new_id(), "now": tx.now, "run_id": run.id, "of_state": state.id}
            tx.execute(_insert(), {**values, "of_policy": watch.policy_id})
            tx.notify(MESSAGES)


def _read(tx: Transaction) -> Sequence[Watch]:
    return [Watch(row.id, frozenset(row.state_names), frozenset(row.tags)) for row in tx.execute(_ACTIVE)]


@cache
def _insert() -> sa.Insert:
    """Nothing is inserted for a policy that is remembered here and was paused or deleted by another server."""
    columns = delivery.c
    now = sa.bindparam("now", type_=columns.created.type)
    values: dict[str, sa.ColumnElement[Any]] = {
        "id": sa.bindparam("row_id", type_=columns.id.type),
        "created": now,
        "updated": now,
        "policy_id": policy.c.id,
        "flow_run_id": sa.bindparam("run_id", type_=columns.flow_run_id.type),
        "state_id": sa.bindparam("of_state", type_=columns.state_id.type),
        "status": sa.literal(DeliveryStatus.WAITING.value),
        "tries": sa.literal(0),
        "due_at": now,
    }
    source = sa.select(*values.values()).where(
        policy.c.id == sa.bindparam("of_policy", type_=columns.policy_id.type), policy.c.is_active
    )
    return sa.insert(delivery).from_select(list(values), source)
