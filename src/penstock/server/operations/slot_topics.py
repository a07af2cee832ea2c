"""What those wait for whom a limit holds back: told when a slot comes free or a limit changes."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from penstock.server.database.connection import Transaction
from penstock.server.rules.choosing import Key


def topic_of(limit: Key) -> str:
    """What to listen to for a slot of that limit."""
    kind, which = limit
    return f"{kind}:{which}"


def tell_slot_free(
    tx: Transaction,
    queue_id: UUID | None,
    pool_id: UUID | None,
    deployment_id: UUID | None,
    schedule_id: UUID | None,
    tags: Iterable[str],
) -> None:
    """Wake who waits for a slot of what a run counted against that is not live any more."""
    limits: list[tuple[str, Any]] = [("queue", queue_id), ("pool", pool_id), ("deployment", deployment_id)]
    limits.append(("schedule", schedule_id))
    limits += [("tag", tag) for tag in tags]
    for limit in limits:
        if limit[1] is not None:
            tx.notify(topic_of(limit))
