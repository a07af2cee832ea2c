"""What all commands of `penstock block` share: finding blocks and types by what was typed, and how they are listed."""

from typing import Any

from penstock.cli import references, times
from penstock.cli.connection import Connection
from penstock.cli.errors import UsageProblem
from penstock.cli.output import Column, Row
from penstock.errors import NotFound, did_you_mean

COLUMNS = [
    Column("REFERENCE", "reference"),
    Column("TYPE", "block_type_name"),
    Column("UPDATED", "updated", show=times.ago),
    Column("ID", "id", wide=True),
]


def reference_of(row: Row) -> str:
    """What other commands accept for a block: TYPE/NAME."""
    return str(row["reference"])


def with_reference(row: dict[str, Any]) -> dict[str, Any]:
    """The block with its reference and the name of its type."""
    kind = row.get("block_type") or {}
    found = {**row, "reference": f"{kind.get('slug')}/{row['name']}"}
    found["block_type_name"] = row.get("block_type_name") or kind.get("name")
    return found


def find_block(connection: Connection, reference: str | None, id_: str | None) -> dict[str, Any]:
    """The block that is named by TYPE/NAME or by its id, secrets masked. Raises UsageProblem, NotFound."""
    from penstock.client import block_documents

    if (reference is None) == (id_ is None):
        raise UsageProblem("Name one block: by TYPE/NAME or by --id.", hint="See `penstock block ls`.")
    identifier = references.as_uuid(id_ or reference or "")
    if id_ is not None and identifier is None:
        raise UsageProblem(f"{id_!r} is no id.", hint="An id is a UUID of 32 hexadecimal digits.")
    if identifier is not None:
        return with_reference(connection.row(block_documents.read_block_document(identifier, include_secrets=False)))
    return document_of(connection, str(reference))


def document_of(connection: Connection, reference: str) -> dict[str, Any]:
    """The block TYPE/NAME, secrets masked. Raises UsageProblem; NotFound with the nearest one."""
    from penstock.client import block_documents

    slug, slash, name = reference.partition("/")
    if not slash:
        raise UsageProblem(f"{reference!r} does not name a block.", hint="Write TYPE/NAME, e.g. process/my-block.")
    try:
        call = block_documents.read_block_document_by_name(name, slug, include_secrets=False)
        return with_reference(connection.row(call))
    except NotFound:
        rows = [with_reference(row) for row in connection.rows(block_documents.read_block_documents(limit=200))]
        near = did_you_mean(reference, [row["reference"] for row in rows])
        raise NotFound(f"There is no block {reference!r}.{near}", hint="See `penstock block ls`.") from None


def type_of(connection: Connection, slug: str) -> dict[str, Any]:
    """The type of blocks of that slug. Raises NotFound with the nearest that the server or this installation knows."""
    from penstock.client import block_types

    try:
        return connection.row(block_types.read_block_type_by_slug(slug))
    except NotFound:
        known = {found["slug"] for found in connection.rows(block_types.read_block_types(limit=200))}
        raise _no_type(slug, known) from None


def _no_type(slug: str, known: set[str]) -> NotFound:
    from penstock.blocks import registry

    installed = registry.known_slugs()
    if slug in installed:
        module = registry.find_block(slug).__module__
        return NotFound(
            f"The server does not know the type of blocks {slug!r}, which is installed here.",
            hint=f"Make it known: `penstock block register -m {module}`.",
        )
    near = did_you_mean(slug, known.union(installed))
    return NotFound(f"There is no type of blocks {slug!r}.{near}", hint="See `penstock block type ls`.")


def users_of(connection: Connection, document_id: str) -> dict[str, Any] | None:
    """The blocks and deployments that use the block. None: the server is of a version that cannot tell."""
    try:
        found: dict[str, Any] = connection.request("GET", f"/block_documents/{document_id}/used_by")
    except NotFound:
        return None
    return found


def names_of_users(users: dict[str, Any] | None) -> list[str]:
    """Users as people are told of them: "block s3/raw", "deployment etl/nightly"."""
    if users is None:
        return ["unknown: the server cannot tell"]
    blocks = [f"block {user['block_type_slug']}/{user['name']}" for user in users["block_documents"]]
    deployments = [f"deployment {user['flow_name']}/{user['name']}" for user in users["deployments"]]
    return (
        blocks + deployments + [f"notification policy {user['id']}" for user in users.get("notification_policies", [])]
    )


def has_masks(value: Any) -> bool:
    """Whether a mask stands anywhere in `value`."""
    if isinstance(value, dict):
        return any(has_masks(item) for item in value.values())
    if isinstance(value, list):
        return any(has_masks(item) for item in value)
    return isinstance(value, str) and value != "" and not value.strip("*")
