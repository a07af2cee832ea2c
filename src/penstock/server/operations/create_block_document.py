import re
from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, Invalid, NotFound
from penstock.model import block_fields
from penstock.model.base import JSONObject, new_id
from penstock.model.block_documents import BlockDocument, BlockDocumentCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.operations.block_document_rows import DamagedBlock, close_data, fetch_documents, read_json
from penstock.server.operations.nested_secret_fields import nested_secret_fields
from penstock.server.operations.read_block_documents import read_block_document
from penstock.server.rules import block_references, block_secrets, block_values


def create_block_document(tx: Transaction, asked: BlockDocumentCreate, include_secrets: bool = False) -> BlockDocument:
    """Save a document, its secrets sealed. The answer shows masks unless secrets are asked for.

    Raises Conflict if the name is taken, Invalid for a field that the schema does not have, a value that does not fit it,
    or a mask for a secret.
    """
    fields = read_fields(tx, asked.block_schema_id, asked.block_type_id)
    secret_fields = block_fields.secret_fields(fields) + nested_secret_fields(tx, asked.data)
    block_values.refuse_unknown_fields(asked.data, fields)
    data = block_secrets.keep_masked(asked.data, {}, secret_fields)
    block_values.refuse_unfit_values(data, fields)
    document_id = new_id()
    anonymous = asked.is_anonymous or asked.name is None
    name = f"anonymous-{document_id}" if asked.name is None else check_document_name(asked.name)
    values = {
        "id": document_id,
        "created": tx.now,
        "updated": tx.now,
        "block_type_id": asked.block_type_id,
        "block_schema_id": asked.block_schema_id,
        "name": name,
        "is_anonymous": anonymous,
        **close_data(tx, data, secret_fields),
    }
    if not insert_if_absent(tx, t.block_document, values):
        slug = tx.execute(sa.select(t.block_type.c.slug).where(t.block_type.c.id == asked.block_type_id)).scalar_one()
        raise Conflict(
            f"A block {slug}/{name} exists already.",
            code="block_exists",
            hint="Choose another name, or update the one that exists.",
        )
    write_references(tx, document_id, data)
    return read_block_document(tx, document_id, include_secrets)


def check_document_name(name: str) -> str:
    """Raises Invalid unless `name` can stand in ``slug/name`` anywhere."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise Invalid(
            f"name: {name!r} cannot name a block.",
            hint="Use lowercase letters, digits and dashes.",
            code="invalid_name",
        )
    return name


def read_fields(tx: Transaction, schema_id: UUID, type_id: UUID) -> JSONObject:
    """The JSON schema `schema_id`, which must be one of block type `type_id`. Raises NotFound,
    Invalid or DamagedBlock."""
    schema = t.block_schema.c
    fields = sa.cast(schema.fields, sa.Text).label("fields")
    row = tx.execute(sa.select(fields, schema.block_type_id).where(schema.id == schema_id)).one_or_none()
    if row is None:
        raise NotFound(f"Block schema not found: {schema_id}")
    if row.block_type_id != type_id:
        raise Invalid(f"block_schema_id: {schema_id} is a schema of another block type than {type_id}.")
    read = read_json(row.fields)
    if not isinstance(read, dict):
        raise DamagedBlock(
            f"block schema {schema_id}: fields: it is no JSON object.", hint="Register the block type anew."
        )
    return read


def write_references(tx: Transaction, document_id: UUID, data: JSONObject) -> None:
    """Note whom the document refers to. Raises Invalid if one does not exist or leads back to the document."""
    reference = t.block_document_reference
    tx.execute(reference.delete().where(reference.c.parent_id == document_id))
    found = list(block_references.find_references(data))
    if not found:
        return
    _check_targets(tx, document_id, found)
    tx.execute(
        reference.insert(), [{"parent_id": document_id, "name": name, "child_id": child} for name, child in found]
    )


def _check_targets(tx: Transaction, document_id: UUID, found: Iterable[tuple[str, UUID]]) -> None:
    targets = t.block_document.c.id.in_({child for _, child in found})
    # locked, so that none is deleted until the reference to it is committed
    tx.execute(sa.select(t.block_document.c.id).where(targets).with_for_update(read=True, key_share=True))
    below = fetch_documents(tx, targets).rows
    for name, child in found:
        if child not in below:
            raise Invalid(f"data.{name}: there is no block document {child}.", code="unknown_reference")
    if document_id in below:
        raise Invalid("The document would refer to itself.", code="circular_reference")
