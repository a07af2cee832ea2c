"""What those wait for whom a limit holds back: told when a slot comes free or a limit changes."""

from typing import Any

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.rules.choosing import Key


def topic_of(limit: Key) -> str:
    """What to listen to for a slot of that limit."""
    kind, which = limit
    return f"{kind}:{which}"


def tell_slot_free(tx: Transaction, run: sa.Row[Any], attempt: sa.Row[Any]) -> None:
    """Wake who waits for a slot of what `run` counted against, which is not live any more with this last attempt."""
    limits: list[Key] = [
        ("queue", attempt.work_queue_id),
        ("pool", attempt.work_pool_id),
        ("deployment", attempt.deployment_id),
        ("schedule", run.schedule_id),
        *(("tag", tag) for tag in run.tags),
    ]
    for limit in limits:
        if limit[1] is not None:
            tx.notify(topic_of(limit))
