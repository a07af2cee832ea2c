from uuid import UUID

from penstock.errors import NotFound
from penstock.model import block_fields
from penstock.model.base import JSONObject
from penstock.model.block_documents import BlockDocumentUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.block_document_rows import (
    DamagedBlock,
    StoredDocument,
    close_data,
    lock_document,
    open_data,
)
from penstock.server.operations.create_block_document import read_fields, write_references
from penstock.server.operations.nested_secret_fields import nested_secret_fields
from penstock.server.operations.read_block_users import refuse_lost_capabilities
from penstock.server.rules import block_secrets, block_values


def update_block_document(tx: Transaction, document_id: UUID, change: BlockDocumentUpdate) -> None:
    """Merge the given fields into the document, or replace all of them; a mask keeps the secret that is stored.

    What an older schema had and the document's schema has not is dropped.
    Raises NotFound; Invalid as `create_block_document` does; Conflict if what uses the document could not use it any more;
    DamagedBlock if the database has lost what the change would keep.
    """
    row = lock_document(tx, document_id)
    if row is None:
        raise NotFound(f"Block document not found: {document_id}")
    schema_id = change.block_schema_id or row.block_schema_id
    if schema_id != row.block_schema_id:
        refuse_lost_capabilities(tx, document_id, row.block_schema_id, schema_id)
    fields = read_fields(tx, schema_id, row.block_type_id)
    # What was secret under the old schema stays so: a new schema must not bring it to light.
    nested = nested_secret_fields(tx, change.data)
    secret_fields = list(dict.fromkeys(block_fields.secret_fields(fields) + _old_secret_fields(tx, row) + nested))
    block_values.refuse_unknown_fields(change.data, fields)
    stored = _stored(row, change, fields)
    data = block_secrets.keep_masked(change.data, stored, secret_fields)
    whole = not change.merge_existing_data or schema_id != row.block_schema_id
    if change.merge_existing_data:
        known = fields.get("properties") or stored
        data = {**{name: value for name, value in stored.items() if name in known}, **data}
    # What was wrong before is no reason to refuse a change of something else.
    block_values.refuse_unfit_values(data, fields, None if whole else frozenset(change.data))
    values = {"block_schema_id": schema_id, "updated": tx.now, **close_data(tx, data, secret_fields)}
    tx.execute(t.block_document.update().where(t.block_document.c.id == document_id).values(values))
    write_references(tx, document_id, data)


def _old_secret_fields(tx: Transaction, row: StoredDocument) -> list[str]:
    try:
        fields = block_fields.secret_fields(read_fields(tx, row.block_schema_id, row.block_type_id))
    except (NotFound, DamagedBlock):
        fields = []
    # and so does what lies sealed without a schema that says so; of a URL only the password is
    return fields + [
        ".".join(map(str, place))
        for place in row.places
        if block_secrets.find(row.data, place) is None and all(isinstance(key, str) for key in place)
    ]


def _stored(row: StoredDocument, change: BlockDocumentUpdate, fields: JSONObject) -> JSONObject:
    """What the document has, secrets in clear. Raises DamagedBlock if something is lost that the change does not replace."""
    try:
        for problem in row.problems:
            raise row.damaged(problem)
        return open_data(row, include_secrets=True)
    except DamagedBlock:
        lost = set(fields.get("properties") or {}) if row.problems else {place[0] for place in row.places}
        replaced = {name for name, value in change.data.items() if not block_secrets.holds_mask(value)}
        kept = set(change.data) if not change.merge_existing_data else lost
        if not kept <= replaced:
            raise
        return row.data
