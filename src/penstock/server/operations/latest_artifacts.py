"""Which artifact is the newest of its key: kept in the transaction that creates or deletes one, so that nobody ever has to look for it."""

from collections.abc import Iterable
from functools import cache
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.model.base import new_id
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import artifact, artifact_collection

#: Keys that one statement names.
_AT_ONCE = 500

_A, _LATEST = artifact.c, artifact_collection.c


def set_latest(tx: Transaction, key: str, artifact_id: UUID) -> None:
    """`artifact_id` is the newest of `key`."""
    values = {"id": new_id(), "created": tx.now, "updated": tx.now, "key": key, "latest_id": artifact_id}
    tx.execute(_set_latest(tx.dialect), values)


@cache
def _set_latest(dialect: str) -> sa.Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(artifact_collection)
    new = {"latest_id": statement.excluded.latest_id, "updated": statement.excluded.updated}
    return statement.on_conflict_do_update(index_elements=[_LATEST.key], set_=new)


def keys_led_by_runs(tx: Transaction, flow_runs: sa.Select[tuple[UUID]]) -> list[str]:
    """The keys whose newest artifact is one of these runs; locked until the end of the transaction."""
    statement = (
        sa.select(_LATEST.key)
        .join(artifact, _A.id == _LATEST.latest_id)
        .where(_A.flow_run_id.in_(flow_runs))
        .order_by(_LATEST.key)
        .with_for_update(of=artifact_collection)
    )
    return list(tx.execute(statement).scalars())


def find_latest_again(tx: Transaction, keys: Iterable[str]) -> None:
    """Their newest artifacts were deleted: those that are the newest now take their place."""
    newest = (
        sa.select(_A.id)
        .where(_A.key == _LATEST.key)
        .order_by(_A.created.desc(), _A.id.desc())
        .limit(1)
        .correlate(artifact_collection)
    )
    for some in _in_batches(keys):
        tx.execute(sa.delete(artifact_collection).where(_LATEST.key.in_(some), ~sa.exists(newest)))
        change = sa.update(artifact_collection).where(_LATEST.key.in_(some))
        tx.execute(change.values(latest_id=newest.scalar_subquery(), updated=tx.now))


def _in_batches(keys: Iterable[str]) -> Iterable[list[str]]:
    listed = list(keys)
    return (listed[start : start + _AT_ONCE] for start in range(0, len(listed), _AT_ONCE))
