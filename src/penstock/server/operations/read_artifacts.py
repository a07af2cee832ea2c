"""Read, list and count artifacts, and the newest of each key."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.artifacts import (
    Artifact,
    ArtifactCollection,
    ArtifactCount,
    ArtifactQuery,
    ArtifactSort,
    LatestArtifactCount,
    LatestArtifactQuery,
)
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Conditions
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.database.statements import read_row
from penstock.server.database.tables import artifact, artifact_collection

_A, _LATEST = artifact.c, artifact_collection.c
_JOINED = artifact_collection.join(artifact, _A.id == _LATEST.latest_id)
_OF_THE_KEY = ("id", "created", "updated", "key")
_SELECT_LATEST = sa.select(
    artifact_collection, *(column for column in artifact.c if column.name not in _OF_THE_KEY)
).select_from(_JOINED)


def _orders(c: Any, *, keyless: bool) -> dict[ArtifactSort, Order]:
    return {
        ArtifactSort.ID_DESC: Order(c.id, descending=True),
        ArtifactSort.CREATED_DESC: Order(c.id, c.created, descending=True),
        ArtifactSort.UPDATED_DESC: Order(c.id, c.updated, descending=True),
        ArtifactSort.KEY_DESC: Order(c.id, c.key, descending=True, nullable=keyless),
        ArtifactSort.KEY_ASC: Order(c.id, c.key, nullable=keyless),
    }


ORDERS = _orders(_A, keyless=True)
LATEST_ORDERS = _orders(_LATEST, keyless=False)


def artifact_from(row: sa.Row[Any]) -> Artifact:
    return Artifact(**_values(row))


def _values(row: sa.Row[Any]) -> dict[str, Any]:
    values = dict(row._mapping)
    return {**values, "metadata_": values.pop("metadata")}


def read_artifact(tx: Transaction, artifact_id: UUID) -> Artifact:
    """Raises NotFound."""
    row = read_row(tx, artifact, artifact_id)
    if row is None:
        raise no_artifact(artifact_id)
    return artifact_from(row)


def read_latest_artifact(tx: Transaction, key: str) -> Artifact:
    """The newest artifact that has the key. Raises NotFound."""
    statement = sa.select(artifact).select_from(_JOINED).where(_LATEST.key == key)
    row = tx.execute(statement).one_or_none()
    if row is None:
        raise NotFound(f"There is no artifact with the key {key!r}.", code="artifact_not_found")
    return artifact_from(row)


def read_artifacts(tx: Transaction, query: ArtifactQuery) -> tuple[list[Artifact], str | None]:
    """A page of artifacts, and the cursor of the next page if there may be one."""
    statement = sa.select(artifact).where(*Conditions(tx.dialect).artifacts(query))
    cut = Cut(query.sort.value, query.limit, query.offset, query.cursor)
    page = read_page(tx, statement, ORDERS[query.sort], cut)
    return [artifact_from(row) for row in page.rows], page.next_cursor


def count_artifacts(tx: Transaction, query: ArtifactCount) -> int:
    conditions = Conditions(tx.dialect).artifacts(query)
    return int(tx.execute(sa.select(sa.func.count()).select_from(artifact).where(*conditions)).scalar_one())


def read_latest_artifacts(tx: Transaction, query: LatestArtifactQuery) -> tuple[list[ArtifactCollection], str | None]:
    """A page of keys with their newest artifacts, and the cursor of the next page if there may be one."""
    statement = _SELECT_LATEST.where(*Conditions(tx.dialect).artifacts(query))
    cut = Cut(query.sort.value, query.limit, query.offset, query.cursor)
    page = read_page(tx, statement, LATEST_ORDERS[query.sort], cut)
    return [ArtifactCollection(**_values(row)) for row in page.rows], page.next_cursor


def count_latest_artifacts(tx: Transaction, query: LatestArtifactCount) -> int:
    conditions = Conditions(tx.dialect).artifacts(query)
    return int(tx.execute(sa.select(sa.func.count()).select_from(_JOINED).where(*conditions)).scalar_one())


def no_artifact(artifact_id: UUID) -> NotFound:
    return NotFound("Artifact not found", code="artifact_not_found", hint=f"There is no artifact {artifact_id}.")
