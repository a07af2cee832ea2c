from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model import block_fields
from penstock.model.block_documents import BlockDocumentUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.block_document_rows import close_data, open_data
from penstock.server.operations.create_block_document import read_fields, refuse_unknown_fields, write_references
from penstock.server.rules import block_secrets


def update_block_document(tx: Transaction, document_id: UUID, change: BlockDocumentUpdate) -> None:
    """Merge the given fields into the document, or replace all of them; a mask keeps the secret that is stored.

    What an older schema had and the document's schema has not is dropped.
    Raises NotFound, or Invalid as `create_block_document` does.
    """
    document = t.block_document
    row = tx.execute(sa.select(document).where(document.c.id == document_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"Block document not found: {document_id}")
    schema_id = change.block_schema_id or row.block_schema_id
    fields = read_fields(tx, schema_id, row.block_type_id)
    old_fields = read_fields(tx, row.block_schema_id, row.block_type_id)
    # What was secret under the old schema stays so: a new schema must not bring it to light.
    secret_fields = list(dict.fromkeys(block_fields.secret_fields(fields) + block_fields.secret_fields(old_fields)))
    refuse_unknown_fields(change.data, fields)
    stored = open_data(row, include_secrets=True)
    data = block_secrets.keep_masked(change.data, stored, secret_fields)
    if change.merge_existing_data:
        known = fields.get("properties") or stored
        data = {**{name: value for name, value in stored.items() if name in known}, **data}
    values = {"block_schema_id": schema_id, "updated": tx.now, **close_data(data, secret_fields)}
    tx.execute(document.update().where(document.c.id == document_id).values(values))
    write_references(tx, document_id, data)
