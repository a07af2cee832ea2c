"""`penstock flow`: the flows that the server has seen."""

import click

from penstock.cli import output, times
from penstock.cli.connection import connect
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current

_COLUMNS = [
    Column("NAME", "name"),
    Column("ID", "id"),
    Column("CREATED", "created", show=times.ago),
    Column("TAGS", "tags", wide=True),
]


@group("flow")
def command() -> None:
    """List flows."""


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, 200), default=15, show_default=True, help="Most flows to show.")
def ls(limit: int) -> None:
    """List flows, the newest first."""
    from penstock.client import flows

    with connect() as connection:
        rows = connection.rows(flows.read_flows(sort="CREATED_DESC", limit=limit))
    output.emit(current(), rows, _COLUMNS, lambda row: str(row["name"]))
