"""The blocks of a deployment that is applied: one saved under a name, or one of its own, which is compared by content."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model import block_fields
from penstock.model.applying import DeploymentChange
from penstock.model.base import JSONObject
from penstock.model.block_documents import BlockDocumentCreate, BlockDocumentUpdate
from penstock.server import keys
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.block_document_rows import DamagedBlock, StoredDocument, fetch_documents, open_data
from penstock.server.operations.create_block_document import create_block_document, read_fields
from penstock.server.operations.nested_secret_fields import nested_secret_fields
from penstock.server.operations.update_block_document import update_block_document
from penstock.server.rules import block_secrets
from penstock.server.rules.applying import at, change, differences, equal


@dataclass(frozen=True)
class DeploymentBlock:
    """The block that a deployment has for its infrastructure or storage; none if `value` is None.

    `value` is what is compared and remembered; it holds no secret. `data` holds them in clear, `shown` has masks.
    """

    value: JSONObject | None = None
    document_id: UUID | None = None
    data: JSONObject = field(default_factory=dict)
    shown: JSONObject = field(default_factory=dict)

    @property
    def told(self) -> Any:
        """The block for people: a reference to a saved one, else its type and content."""
        if self.value is None:
            return None
        return self.value["block"] if "block" in self.value else {"block_type_slug": self.value["type"], **self.shown}


def read_block(tx: Transaction, document_id: UUID | None) -> DeploymentBlock:
    """The block of a document. Of one that is damaged, nothing is known but that it is no other."""
    row = fetch_documents(tx, t.block_document.c.id == document_id).rows.get(document_id) if document_id else None
    if row is None:
        return DeploymentBlock()
    if not row.is_anonymous:
        return DeploymentBlock({"block": f"{row.type_slug}/{row.name}", "id": str(row.id)}, row.id)
    data, digest = _opened(row)
    value = {"type": row.type_slug, "digest": digest}
    return DeploymentBlock(value, row.id, data, open_data(row, include_secrets=False))


def _opened(row: StoredDocument) -> tuple[JSONObject, str]:
    try:
        for problem in row.problems:
            raise row.damaged(problem)
        data = open_data(row, include_secrets=True)
    except DamagedBlock:
        return row.data, f"damaged {row.id}"
    return data, keys.fingerprint(data)


def read_content(
    tx: Transaction, asked: BlockDocumentCreate, live: DeploymentBlock
) -> tuple[DeploymentBlock, BlockDocumentCreate]:
    """The block that `asked` describes, and `asked` with the live secrets in place of masks.

    Raises NotFound for an unknown schema, Invalid for a mask that stands for nothing.
    """
    fields = read_fields(tx, asked.block_schema_id, asked.block_type_id)
    secret_fields = block_fields.secret_fields(fields) + nested_secret_fields(tx, asked.data)
    slug = tx.execute(sa.select(t.block_type.c.slug).where(t.block_type.c.id == asked.block_type_id)).scalar_one()
    stored = live.data if live.value is not None and live.value.get("type") == slug else {}
    data = block_secrets.keep_masked(asked.data, stored, secret_fields)
    rest, secrets = block_secrets.take_out(data, secret_fields)
    shown = block_secrets.put_masks(rest, [place for place, _ in secrets])
    value = {"type": slug, "digest": keys.fingerprint(data)}
    return DeploymentBlock(value, None, data, shown), asked.model_copy(update={"data": data, "is_anonymous": True})


def write_content(tx: Transaction, asked: BlockDocumentCreate, live: DeploymentBlock, deployment_id: UUID) -> UUID:
    """Save what `asked` describes: in the document that the deployment has, if that is its own and of that type.

    Returns the document's id. Raises as `create_block_document` does.
    """
    if live.document_id is not None and _is_own(tx, live.document_id, asked.block_type_id, deployment_id):
        whole = BlockDocumentUpdate(data=asked.data, block_schema_id=asked.block_schema_id, merge_existing_data=False)
        update_block_document(tx, live.document_id, whole)
        return live.document_id
    return create_block_document(tx, asked.model_copy(update={"name": None})).id


def _is_own(tx: Transaction, document_id: UUID, type_id: UUID, deployment_id: UUID) -> bool:
    document, deployment = t.block_document.c, t.deployment.c
    uses = sa.or_(deployment.infrastructure_document_id == document_id, deployment.storage_document_id == document_id)
    others = sa.exists().where(uses, deployment.id != deployment_id)
    referring = sa.exists().where(t.block_document_reference.c.child_id == document_id)
    own = sa.select(document.id).where(
        document.id == document_id, document.block_type_id == type_id, document.is_anonymous, ~others, ~referring
    )
    return tx.execute(own).one_or_none() is not None


def block_changes(
    part: str, live: DeploymentBlock, given: DeploymentBlock, whole: DeploymentChange, last_shown: JSONObject | None
) -> list[DeploymentChange]:
    """The change of a block: field by field where it stays of one type, else `whole`, as people read it."""
    of_one_type = (
        live.shown and given.shown and live.value and given.value and live.value["type"] == given.value["type"]
    )
    if not of_one_type:
        return [whole.model_copy(update={"before": live.told, "after": given.told})]
    found = []
    for path in differences(live.data, given.data):
        before, after, last = (at(shown, path) for shown in (live.shown, given.shown, last_shown or {}))
        told = change(".".join((part, *path)), before, after, last)
        told.changed_elsewhere = whole.changed_elsewhere and not equal(last, before)
        found.append(told)
    return found
