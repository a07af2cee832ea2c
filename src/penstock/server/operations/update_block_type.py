from uuid import UUID

from penstock.errors import NotFound
from penstock.model.block_types import BlockTypeUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction


def update_block_type(tx: Transaction, block_type_id: UUID, change: BlockTypeUpdate) -> None:
    """Set the fields that were given. Raises NotFound."""
    values = {**change.model_dump(exclude_unset=True), "updated": tx.now}
    if tx.execute(t.block_type.update().where(t.block_type.c.id == block_type_id).values(values)).rowcount == 0:
        raise NotFound(f"Block type not found: {block_type_id}")
