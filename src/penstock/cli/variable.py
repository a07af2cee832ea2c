"""`penstock variable`: small texts with names, which every run can read."""

from typing import Any

import click

from penstock.cli import output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import Conflict, NotFound

_COLUMNS = [
    Column("NAME", "name"),
    Column("VALUE", "value"),
    Column("TAGS", "tags"),
    Column("UPDATED", "updated", show=times.ago),
    Column("CREATED", "created", wide=True, show=times.ago),
    Column("ID", "id", wide=True),
]


def _name(row: output.Row) -> str:
    return str(row["name"])


def _find(connection: Connection, name: str) -> dict[str, Any]:
    from penstock.client import variables

    try:
        return connection.row(variables.read_variable_by_name(name))
    except NotFound:
        known = [row["name"] for row in connection.rows(variables.read_variables(limit=200))]
        raise references.unknown("variable", name, known) from None


@group("variable")
def command() -> None:
    """List, read, set and delete variables."""


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, 200), default=100, show_default=True, help="Most variables to show.")
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="Only those with this tag; may be repeated.")
def ls(limit: int, tags: tuple[str, ...]) -> None:
    """List variables."""
    from penstock.client import variables

    wanted = {"tags": {"all_": list(tags)}} if tags else None
    with connect() as connection:
        rows = connection.rows(variables.read_variables(variable_filter=wanted, limit=limit))
    output.emit(current(), rows, _COLUMNS, _name)


@command.command("inspect")
@click.argument("name")
def inspect(name: str) -> None:
    """Show a variable."""
    with connect() as connection:
        row = _find(connection, name)
    columns = [Column(column.title, column.field, show=column.show) for column in _COLUMNS]
    output.emit_one(current(), row, columns, _name)


@command.command("get")
@click.argument("name")
def get(name: str) -> None:
    """Print the value of a variable."""
    with connect() as connection:
        row = _find(connection, name)
    session = current()
    if session.output is None and not session.fields:
        output.write(f"{row['value']}\n")
    else:
        output.emit_one(session, row, _COLUMNS, _name)


@command.command("set")
@click.argument("name")
@click.argument("value")
@click.option("--overwrite", is_flag=True, help="Change the variable if there is one of that name: value and tags.")
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="Tag of the variable; may be repeated.")
def set_(name: str, value: str, overwrite: bool, tags: tuple[str, ...]) -> None:
    """Keep a value under a name."""
    from penstock.client import variables
    from penstock.model.variables import VariableCreate, VariableUpdate

    asked = VariableCreate(name=name, value=value, tags=list(tags))
    with connect() as connection:
        try:
            row = connection.row(variables.create_variable(asked))
        except Conflict:
            if not overwrite:
                raise Conflict(
                    f"There is a variable {name!r} already.", hint="Change it with --overwrite, or choose another name."
                ) from None
            change = VariableUpdate(value=value, tags=list(tags))
            connection.send(variables.update_variable_by_name(name, change))
            row = _find(connection, name)
    output.done(current(), f"The variable {name!r} is set.", row, _COLUMNS, _name)


@command.command("delete")
@click.argument("name")
def delete(name: str) -> None:
    """Delete a variable; also called `unset`."""
    from penstock.client import variables

    with connect() as connection:
        row = _find(connection, name)
        connection.send(variables.delete_variable(row["id"]))
    output.done(current(), f"Deleted the variable {name!r}.", row, _COLUMNS, _name)


command.aliases["unset"] = "delete"
