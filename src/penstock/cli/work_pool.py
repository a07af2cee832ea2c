"""`penstock work-pool`: groups of work queues that share a limit and can be paused together."""

import json
from pathlib import Path
from typing import Any

import click

from penstock.cli import output, references
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.cli.switches import add_switches
from penstock.cli.work_queue import show_runs, upcoming
from penstock.errors import NotFound

_COLUMNS = [
    Column("NAME", "name"),
    Column("TYPE", "type"),
    Column("LIMIT", "concurrency_limit"),
    Column("PAUSED", "is_paused"),
    Column("STATUS", "status"),
    Column("DESCRIPTION", "description", wide=True),
    Column("ID", "id", wide=True),
]


def _name(row: output.Row) -> str:
    return str(row["name"])


def find(connection: Connection, name: str) -> dict[str, Any]:
    """The pool called `name`. Raises NotFound with the nearest name."""
    from penstock.client import work_pools

    try:
        return connection.row(work_pools.read_work_pool(name))
    except NotFound:
        known = [row["name"] for row in connection.rows(work_pools.read_work_pools(limit=200))]
        raise references.unknown("work-pool", name, known) from None


def _change(connection: Connection, name: str, values: dict[str, Any]) -> dict[str, Any]:
    from penstock.client import work_pools
    from penstock.model.work_pools import WorkPoolUpdate

    row = find(connection, name)
    connection.send(work_pools.update_work_pool(name, WorkPoolUpdate(**values)))
    return {**row, **values}


def _template(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        value = json.loads(Path(path).read_text())
    except ValueError as error:
        raise UsageProblem(f"{path} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageProblem(f"{path} does not hold a JSON object.")
    return value


@group("work-pool")
def command() -> None:
    """Manage work pools."""


@command.command("create")
@click.argument("name")
@click.option("--paused", is_flag=True, help="Create it paused.")
@click.option("-t", "--type", "kind", metavar="TYPE", help="Type of the pool.  [default: prefect-agent]")
@click.option("--base-job-template", metavar="FILE", help="JSON file with a job template, for pools of workers.")
@click.option("-l", "--limit", type=click.IntRange(min=0), help="Most runs of the pool that may be live at once.")
@click.option("-d", "--description", metavar="TEXT", help="What the pool is for.")
def create(
    name: str,
    paused: bool,
    kind: str | None,
    base_job_template: str | None,
    limit: int | None,
    description: str | None,
) -> None:
    """Create a work pool."""
    from penstock.client import work_pools
    from penstock.model.work_pools import WorkPoolCreate

    given = {"type": kind, "concurrency_limit": limit, "description": description}
    template = _template(base_job_template)
    request = WorkPoolCreate(
        name=name,
        is_paused=paused,
        base_job_template=template,
        **{key: value for key, value in given.items() if value is not None},
    )
    with connect() as connection:
        row = connection.row(work_pools.create_work_pool(request))
    message = f"Created the work pool {name!r}. Serve it with `penstock agent start -p {name}`."
    output.done(current(), message, row, _COLUMNS, _name)


@command.command("ls")
@click.option("-v", "--verbose", "wide", is_flag=True, help="The same as -o wide.")
def ls(wide: bool) -> None:
    """List work pools."""
    from penstock.client import work_pools

    session = current()
    if wide and session.output is None:
        session.output = "wide"
    with connect() as connection:
        rows = connection.rows(work_pools.read_work_pools(limit=200))
    output.emit(session, sorted(rows, key=lambda row: str(row["name"])), _COLUMNS, _name)


@command.command("inspect")
@click.argument("name")
def inspect(name: str) -> None:
    """Show a work pool."""
    with connect() as connection:
        row = find(connection, name)
    columns = [Column(column.title, column.field, show=column.show) for column in _COLUMNS]
    output.emit_one(current(), row, columns, _name)


@command.command("update")
@click.argument("name")
@click.option("--base-job-template", metavar="FILE", help="JSON file with a job template, for pools of workers.")
@click.option("--concurrency-limit", type=click.IntRange(min=0), help="Most runs of the pool that may be live at once.")
@click.option("--description", metavar="TEXT", help="What the pool is for.")
def update(name: str, base_job_template: str | None, concurrency_limit: int | None, description: str | None) -> None:
    """Change a work pool."""
    given = {
        "base_job_template": _template(base_job_template) if base_job_template else None,
        "concurrency_limit": concurrency_limit,
        "description": description,
    }
    values = {key: value for key, value in given.items() if value is not None}
    if not values:
        raise UsageProblem("Nothing was given to be changed.", hint="See `penstock work-pool update --help`.")
    with connect() as connection:
        row = _change(connection, name, values)
    output.done(current(), f"Changed the work pool {name!r}.", row, _COLUMNS, _name)


add_switches(command, "pool", _change, _COLUMNS)


@command.command("preview")
@click.argument("name")
@click.option("-h", "--hours", type=click.FloatRange(min=0), help="Only runs due within so many hours.")
def preview(name: str, hours: float | None) -> None:
    """List the runs that wait in a pool."""
    with connect() as connection:
        row = find(connection, name)
        rows = upcoming(connection, hours, work_pool_filter={"id": {"any_": [row["id"]]}})
    show_runs(rows)


@command.command("delete")
@click.argument("name")
def delete(name: str) -> None:
    """Delete a work pool with its queues."""
    from penstock.client import work_pools

    with connect() as connection:
        row = find(connection, name)
        connection.send(work_pools.delete_work_pool(name))
    output.done(current(), f"Deleted the work pool {name!r}.", row, _COLUMNS, _name)
