"""`penstock block`: saved configuration, secrets masked."""

from typing import Any

import click

from penstock.cli import output
from penstock.cli.block_answers import (
    COLUMNS,
    find_block,
    has_masks,
    names_of_users,
    reference_of,
    type_of,
    users_of,
    with_reference,
)
from penstock.cli.block_check import check
from penstock.cli.block_create import create
from penstock.cli.block_keys import rotate_keys
from penstock.cli.block_register import register
from penstock.cli.block_type import command as type_
from penstock.cli.connection import connect
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import Conflict


@group("block")
def command() -> None:
    """Create, list, inspect, check and delete blocks and their types."""


command.add_command(register)
command.add_command(create)
command.add_command(check)
command.add_command(type_)
command.add_command(rotate_keys)
command.aliases["types"] = "type"


@command.command("ls")
@click.option("--type", "slug", metavar="TYPE", help="Blocks of this type only, e.g. process.")
@click.option("--limit", type=click.IntRange(1, 200), default=200, show_default=True, help="Most blocks to show.")
@click.option("--offset", type=click.IntRange(min=0), default=0, show_default=True, help="How many blocks to skip.")
def ls(slug: str | None, limit: int, offset: int) -> None:
    """List saved blocks."""
    from penstock.client import block_documents

    with connect() as connection:
        kind = {"slug": {"any_": [type_of(connection, slug)["slug"]]}} if slug else None
        call = block_documents.read_block_documents(
            block_type_filter=kind, sort="BLOCK_TYPE_AND_NAME_ASC", limit=limit, offset=offset
        )
        rows = connection.rows(call)
    output.emit(current(), [with_reference(row) for row in rows], COLUMNS, reference_of)


_ID = click.option("--id", "id_", metavar="UUID", help="Id of the block, instead of TYPE/NAME.")


@command.command("inspect")
@click.argument("reference", metavar="TYPE/NAME", required=False)
@_ID
def inspect(reference: str | None, id_: str | None) -> None:
    """Show a block and what uses it; its secrets are masked.

    No option shows a secret. Python does, where it is used: Block.load("TYPE/NAME").
    """
    with connect() as connection:
        row = find_block(connection, reference, id_)
        row["used_by"] = users_of(connection, row["id"])
    columns = [Column("reference", "reference"), Column("type", "block_type_name"), Column("id", "id")]
    references = row.get("block_document_references") or {}
    columns += [_data_column(key, references.get(key)) for key in row.get("data") or {}]
    columns.append(Column("used by", "used_by", show=lambda users: ", ".join(names_of_users(users))))
    session = current()
    output.emit_one(session, row, columns, reference_of)
    if session.output is None and has_masks(row.get("data")):
        session.say(f'Secrets are masked. In Python they can be read: Block.load("{row["reference"]}").')


def _data_column(key: str, reference: dict[str, Any] | None) -> Column:
    """A field of the block; of a block that it refers to, the reference is shown and not the fields."""
    if reference is None or "block_document" not in reference:
        return Column(f"data.{key}", f"data.{key}")
    told = with_reference(reference["block_document"])["reference"]
    return Column(f"data.{key}", f"data.{key}", show=lambda _: str(told))


@command.command("delete")
@click.argument("reference", metavar="TYPE/NAME", required=False)
@_ID
def delete(reference: str | None, id_: str | None) -> None:
    """Delete a block that nothing uses."""
    from penstock.client import block_documents

    with connect() as connection:
        row = find_block(connection, reference, id_)
        try:
            connection.send(block_documents.delete_block_document(row["id"]))
        except Conflict as error:
            users = users_of(connection, row["id"])
            if users is None:
                raise
            listed = "".join(f"\n  {name}" for name in names_of_users(users))
            raise Conflict(
                f"The block {row['reference']!r} is used by:{listed}", code=error.code, hint=error.hint
            ) from None
    output.done(current(), f"Deleted the block {row['reference']!r}.", row, COLUMNS, reference_of)
