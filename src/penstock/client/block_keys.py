"""Calls about the keys that seal the secrets of blocks."""

from typing import TYPE_CHECKING
from uuid import UUID

from penstock.client.call import Call

if TYPE_CHECKING:
    from penstock.model.block_keys import DroppedKeys, KeyRotationStep


def rotate_block_keys(
    *, new_key: bool = False, cursor: UUID | None = None, limit: int | None = None
) -> "Call[KeyRotationStep]":
    """Seal the next documents anew; see `penstock.model.block_keys.KeyRotation`."""
    body = {"new_key": new_key, "cursor": str(cursor) if cursor else None, **({"limit": limit} if limit else {})}
    return Call("POST", "/block_documents/rotate-keys", _step, body=body)


def drop_old_block_keys() -> "Call[DroppedKeys]":
    """Forget keys that seal nothing. Raises Conflict when sent if they are in no file of the server's."""
    return Call("POST", "/block_documents/drop-old-keys", _dropped)


def _step() -> "type[KeyRotationStep]":
    from penstock.model.block_keys import KeyRotationStep

    return KeyRotationStep


def _dropped() -> "type[DroppedKeys]":
    from penstock.model.block_keys import DroppedKeys

    return DroppedKeys
