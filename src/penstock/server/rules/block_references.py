"""References between block documents: ``{"$ref": {"block_document_id": id}}`` anywhere in a document's data. Pure."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from penstock.errors import Invalid


def referred_id(value: Any) -> UUID | None:
    """The document that `value` refers to, or None if it is no reference. Raises Invalid if it is a broken one."""
    if not isinstance(value, dict) or set(value) != {"$ref"}:
        return None
    target = value["$ref"]
    if not isinstance(target, dict) or "block_document_id" not in target:
        return None
    try:
        return UUID(str(target["block_document_id"]))
    except ValueError:
        raise Invalid(f"$ref: {target['block_document_id']!r} is no id of a block document.") from None


def find_references(value: Any, path: str = "") -> Iterator[tuple[str, UUID]]:
    """Every reference in a document with its dotted place."""
    document_id = referred_id(value)
    if document_id is not None:
        yield path, document_id
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from find_references(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_references(item, f"{path}.{index}")


def replace_references(value: Any, resolve: Callable[[UUID], Any]) -> Any:
    """`value` with what `resolve` gives in place of each reference."""
    document_id = referred_id(value)
    if document_id is not None:
        return resolve(document_id)
    if isinstance(value, dict):
        return {key: replace_references(item, resolve) for key, item in value.items()}
    if isinstance(value, list):
        return [replace_references(item, resolve) for item in value]
    return value
