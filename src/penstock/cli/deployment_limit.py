"""How many runs of a deployment may be live at once, on the command line."""

import click

from penstock.cli import output, references
from penstock.cli.connection import connect
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.session import current

_COLUMNS = [Column("NAME", "name"), Column("LIMIT", "concurrency_limit"), Column("ID", "id")]


def _name(row: output.Row) -> str:
    return f"{row['flow_name']}/{row['name']}"


def _set(reference: str, limit: int | None) -> None:
    from penstock.client import deployments
    from penstock.model.deployments import DeploymentUpdate

    with connect() as connection:
        row = references.one_deployment(connection, reference, None)
        connection.send(deployments.update_deployment(row["id"], DeploymentUpdate(concurrency_limit=limit)))
        row["concurrency_limit"] = limit
    name = _name(row)
    said = (
        f"{name!r} has no concurrency limit."
        if limit is None
        else f"At most {limit} runs of {name!r} may be live at once."
    )
    output.done(current(), said, row, _COLUMNS, _name)


@command("set-concurrency-limit")
@click.argument("name")
@click.argument("limit", type=click.IntRange(min=0))
def set_concurrency_limit(name: str, limit: int) -> None:
    """Limit how many runs of a deployment may be live at once."""
    _set(name, limit)


@command("clear-concurrency-limit")
@click.argument("name")
def clear_concurrency_limit(name: str) -> None:
    """Remove a deployment's concurrency limit."""
    _set(name, None)
