"""`penstock block type`: the types of blocks that the server knows, and their fields."""

import sys
from typing import Any

import click

from penstock.cli import output
from penstock.cli.block_answers import type_of
from penstock.cli.block_fields import fields_of
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current

_COLUMNS = [
    Column("SLUG", "slug"),
    Column("NAME", "name"),
    Column("DESCRIPTION", "description", wide=True),
    Column("ID", "id", wide=True),
]
_FIELD_COLUMNS = [
    Column("FIELD", "name"),
    Column("TYPE", "type"),
    Column("DEFAULT", "shown_default"),
    Column("MEANING", "meaning"),
    Column("CONSTRAINTS", "constraints", wide=True),
]


def _slug(row: output.Row) -> str:
    return str(row["slug"])


@group("type")
def command() -> None:
    """List and inspect types of blocks."""


@command.command("ls")
@click.option("--capability", metavar="NAME", help="Types that can do this, e.g. run-infrastructure.")
def ls(capability: str | None) -> None:
    """List the types of blocks that the server knows."""
    from penstock.client import block_types

    able = {"block_capabilities": {"all_": [capability]}} if capability else None
    with connect() as connection:
        rows = connection.rows(block_types.read_block_types(block_schema_filter=able, limit=200))
    output.emit(current(), sorted(rows, key=_slug), _COLUMNS, _slug)


@command.command("inspect")
@click.argument("slug", metavar="TYPE")
def inspect(slug: str) -> None:
    """Show a type of blocks with its fields: type, default and meaning of each."""
    with connect() as connection:
        row = type_of(connection, slug)
        schema = _newest_schema(connection, row["id"])
    fields = fields_of(schema["fields"])
    row = {**row, "capabilities": schema["capabilities"], "fields": [field.row() for field in fields]}
    session = current()
    columns = [Column(column.title, column.field) for column in _COLUMNS]
    columns += [Column("CAPABILITIES", "capabilities"), Column("EXAMPLE", "code_example")]
    output.emit_one(session, row, columns, _slug)
    if session.format in {"table", "wide"} and not session.fields:
        output.write("\n")
        shown = [{**field.row(), "shown_default": _default(field.row(), field.default_text)} for field in fields]
        output.emit(session, shown, _FIELD_COLUMNS, lambda field: str(field["name"]))


def _default(row: dict[str, Any], default: str) -> str:
    words = ["required"] if row["required"] else [default] if default else []
    return ", ".join([*words, *(["secret"] if row["secret"] else [])])


def _newest_schema(connection: Connection, type_id: str) -> dict[str, Any]:
    from penstock.client import block_schemas

    found = connection.rows(
        block_schemas.read_block_schemas(block_schema_filter={"block_type_id": {"any_": [type_id]}}, limit=1)
    )
    return found[0] if found else {"fields": {}, "capabilities": []}


@command.command("delete")
@click.argument("slug", metavar="TYPE")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for a confirmation.")
def delete(slug: str, yes: bool) -> None:
    """Delete a type of blocks with all blocks of that type."""
    from penstock.client import block_types

    with connect() as connection:
        row = type_of(connection, slug)
        saved = connection.rows(block_types.read_block_documents_by_type(slug))
        if saved and not yes:
            _confirm(slug, len(saved))
        connection.send(block_types.delete_block_type(row["id"]))
    output.done(current(), f"Deleted the type of blocks {slug!r}.", row, _COLUMNS, _slug)


def _confirm(slug: str, saved: int) -> None:
    blocks = "one block" if saved == 1 else f"{saved} blocks"
    if not sys.stdin.isatty():
        raise UsageProblem(f"The type {slug!r} would go with {blocks} of it.", hint="Say that you want it with --yes.")
    click.confirm(f"Delete the type {slug!r} with {blocks} of it?", abort=True, err=True)
