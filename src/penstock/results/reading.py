"""Reads results back: from anywhere that the storage can be reached from."""

import time
from typing import Any
from uuid import UUID

from penstock.blocks import documents
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError, NotFound, PenstockError, ResultError, SerializationError
from penstock.model.base import JSONObject
from penstock.results import blobs
from penstock.storage.local import LocalFileSystem

#: Seconds for which a block that was loaded is used again: many results lie in one.
KEPT_SECONDS = 60.0
_storages: dict[UUID, tuple[float, Any]] = {}


def remember(block_id: UUID, storage: Any) -> None:
    """Use `storage` for what lies in the block `block_id`, for some time."""
    _storages[block_id] = (time.monotonic(), storage)


def read(reference: JSONObject) -> Any:
    """The value that a reference of type ``reference`` leads to. Blocks.

    Raises ResultError if it cannot be had, SerializationError if what is there cannot be understood here.
    """
    key, block_id = str(reference.get("storage_key")), reference.get("storage_block_id")
    where = f"{key!r} in the storage block {block_id}" if block_id else key
    content = _content(key, block_id, where)
    try:
        return blobs.unpack(content)
    except ResultError as error:
        raise type(error)(f"{error} ({where})", hint=error.hint) from error.__cause__


def _content(key: str, block_id: Any, where: str) -> bytes:
    storage = _storage(UUID(str(block_id)), where) if block_id else LocalFileSystem()
    try:
        content: bytes = resolved(storage).read_path(key)
        return content
    except FileNotFoundError:
        hint = (
            "It was removed, or its storage is not the one that the run wrote to."
            if block_id
            else "It is a file of the machine that the run was on. Set result_storage to a storage that all machines reach."
        )
        raise ResultError(f"The result is not there: {where}", hint=hint) from None
    except Exception as error:
        raise ResultError(f"The result cannot be read: {where}: {type(error).__name__}: {error}") from error


def _storage(block_id: UUID, where: str) -> Any:
    known = _storages.get(block_id)
    if known is not None and time.monotonic() - known[0] < KEPT_SECONDS:
        return known[1]
    try:
        storage = documents.load_by_id(block_id)
    except NotFound:
        raise ResultError(f"The result cannot be read: {where}: there is no such block any more") from None
    except (ConfigurationError, ValueError) as error:
        hint = error.hint if isinstance(error, PenstockError) else None
        raise SerializationError(f"The result cannot be read here: {where}: {error}", hint=hint) from error
    remember(block_id, storage)
    return storage
