"""Rotation of the keys that seal the secrets of blocks."""

from uuid import UUID

from pydantic import Field

from penstock.model.base import Request
from penstock.model.filters import MAX_LIMIT


class KeyRotation(Request):
    """Body of ``POST /block_documents/rotate-keys``: the next step of a rotation.

    `new_key`: put a new key in front first, unless a rotation was begun and is not over, or the keys are not the
    server's to change. `cursor`: that of the last answer;
    without one the documents are gone through from the beginning. `limit`: most documents of this step.
    """

    new_key: bool = False
    cursor: UUID | None = None
    limit: int = Field(default=MAX_LIMIT, ge=1, le=1000)


class KeyRotationStep(Request):
    """`key`: id of the key that seals now; `made`: it is new. `sealed`: documents of this step that were sealed anew.

    `failed`: what could not be sealed anew, and why. `remaining`: documents that still lie under other keys; `cursor`: where
    to go on, None at the end.
    """

    key: str
    made: bool = False
    sealed: int = 0
    failed: list[str] = Field(default_factory=list)
    remaining: int = 0
    cursor: UUID | None = None


class DroppedKeys(Request):
    """Answer of ``POST /block_documents/drop-old-keys``: the ids of keys that were dropped, and of those that remain."""

    dropped: list[str] = Field(default_factory=list)
    kept: list[str] = Field(default_factory=list)
