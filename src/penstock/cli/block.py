"""`penstock block`: saved configuration, secrets masked."""

from typing import Any

import click

from penstock.cli import output, references, times
from penstock.cli.block_register import register
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import NotFound, did_you_mean

_COLUMNS = [
    Column("REFERENCE", "reference"),
    Column("TYPE", "block_type_name"),
    Column("UPDATED", "updated", show=times.ago),
    Column("ID", "id", wide=True),
]
_TYPE_COLUMNS = [
    Column("SLUG", "slug"),
    Column("NAME", "name"),
    Column("DESCRIPTION", "description", wide=True),
    Column("ID", "id", wide=True),
]


def _reference(row: output.Row) -> str:
    return str(row["reference"])


def _slug(row: output.Row) -> str:
    return str(row["slug"])


def _with_reference(row: dict[str, Any]) -> dict[str, Any]:
    kind = row.get("block_type") or {}
    found = {**row, "reference": f"{kind.get('slug')}/{row['name']}"}
    found["block_type_name"] = row.get("block_type_name") or kind.get("name")
    return found


@group("block")
def command() -> None:
    """List and inspect blocks and their types."""


command.add_command(register)


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, 200), default=200, show_default=True, help="Most blocks to show.")
def ls(limit: int) -> None:
    """List saved blocks."""
    from penstock.client import block_documents

    with connect() as connection:
        rows = connection.rows(block_documents.read_block_documents(sort="BLOCK_TYPE_AND_NAME_ASC", limit=limit))
    output.emit(current(), [_with_reference(row) for row in rows], _COLUMNS, _reference)


_ID = click.option("--id", "id_", metavar="UUID", help="Id of the block, instead of TYPE/NAME.")


def _find(connection: Connection, reference: str | None, id_: str | None) -> dict[str, Any]:
    from penstock.client import block_documents

    if (reference is None) == (id_ is None):
        raise UsageProblem("Name one block: by TYPE/NAME or by --id.", hint="See `penstock block ls`.")
    identifier = references.as_uuid(id_ or reference or "")
    if id_ is not None and identifier is None:
        raise UsageProblem(f"{id_!r} is no id.", hint="An id is a UUID of 32 hexadecimal digits.")
    if identifier is not None:
        return _with_reference(connection.row(block_documents.read_block_document(identifier, include_secrets=False)))
    slug, slash, name = str(reference).partition("/")
    if not slash:
        raise UsageProblem(f"{reference!r} does not name a block.", hint="Write TYPE/NAME, e.g. process/my-block.")
    try:
        call = block_documents.read_block_document_by_name(name, slug, include_secrets=False)
        return _with_reference(connection.row(call))
    except NotFound:
        rows = [_with_reference(row) for row in connection.rows(block_documents.read_block_documents(limit=200))]
        near = did_you_mean(str(reference), [row["reference"] for row in rows])
        raise NotFound(f"There is no block {reference!r}.{near}", hint="See `penstock block ls`.") from None


@command.command("inspect")
@click.argument("reference", metavar="TYPE/NAME", required=False)
@_ID
def inspect(reference: str | None, id_: str | None) -> None:
    """Show a block; its secrets are masked."""
    with connect() as connection:
        row = _find(connection, reference, id_)
    columns = [Column("reference", "reference"), Column("type", "block_type_name"), Column("id", "id")]
    columns += [Column(f"data.{key}", f"data.{key}") for key in row.get("data") or {}]
    output.emit_one(current(), row, columns, _reference)


@command.command("delete")
@click.argument("reference", metavar="TYPE/NAME", required=False)
@_ID
def delete(reference: str | None, id_: str | None) -> None:
    """Delete a block."""
    from penstock.client import block_documents

    with connect() as connection:
        row = _find(connection, reference, id_)
        connection.send(block_documents.delete_block_document(row["id"]))
    output.done(current(), f"Deleted the block {row['reference']!r}.", row, _COLUMNS, _reference)


@command.group("type")
def type_() -> None:
    """List and inspect types of blocks."""


command.aliases["types"] = "type"


@type_.command("ls")
def type_ls() -> None:
    """List the types of blocks that the server knows."""
    from penstock.client import block_types

    with connect() as connection:
        rows = connection.rows(block_types.read_block_types(limit=200))
    output.emit(current(), sorted(rows, key=_slug), _TYPE_COLUMNS, _slug)


@type_.command("delete")
@click.argument("slug")
def type_delete(slug: str) -> None:
    """Delete a type of blocks with all blocks of that type."""
    from penstock.client import block_types

    with connect() as connection:
        row = _find_type(connection, slug)
        connection.send(block_types.delete_block_type(row["id"]))
    output.done(current(), f"Deleted the type of blocks {slug!r}.", row, _TYPE_COLUMNS, _slug)


@type_.command("inspect")
@click.argument("slug")
def type_inspect(slug: str) -> None:
    """Show a type of blocks."""
    with connect() as connection:
        row = _find_type(connection, slug)
    columns = [Column(column.title, column.field) for column in _TYPE_COLUMNS]
    output.emit_one(current(), row, [*columns, Column("EXAMPLE", "code_example")], _slug)


def _find_type(connection: Connection, slug: str) -> dict[str, Any]:
    from penstock.client import block_types

    try:
        return connection.row(block_types.read_block_type_by_slug(slug))
    except NotFound:
        known = [found["slug"] for found in connection.rows(block_types.read_block_types(limit=200))]
        raise NotFound(
            f"There is no type of blocks {slug!r}.{did_you_mean(slug, known)}", hint="See `penstock block type ls`."
        ) from None
