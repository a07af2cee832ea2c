from uuid import UUID

from penstock.model.attempts import InfrastructureDocument
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.block_document_rows import fetch_documents


def resolve_document(
    tx: Transaction, document_id: UUID | None, include_secrets: bool = True
) -> InfrastructureDocument | None:
    """A saved block as a claim carries it, nested blocks in place. None if there is no such document (any more).

    Without `include_secrets` its secrets are masks. With them, raises DamagedBlock if something in it is damaged.
    """
    if document_id is None:
        return None
    documents = fetch_documents(tx, t.block_document.c.id == document_id)
    row = documents.rows.get(document_id)
    if row is None:
        return None
    return InfrastructureDocument(
        slug=row.type_slug or "",
        name=None if row.is_anonymous else row.name,
        version=row.schema_version,
        data=documents.data(document_id, include_secrets=include_secrets, with_types=True),
    )
