"""`penstock work-pool`: groups of work queues that share a limit and can be paused together."""

import json
from pathlib import Path
from typing import Any

import click

from penstock.cli import output, references, serving
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.live_runs import LIVE_RUNS, add_live_runs
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.cli.switches import add_switches
from penstock.cli.work_queue import show_runs, upcoming
from penstock.errors import NotFound

#: As in `penstock.model.work_pools`, whose import would cost more than all else here; a test compares.
AGENT_TYPE = "prefect-agent"

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
@click.option("--overwrite", is_flag=True, help="If there is a pool of that name, change it to what is said here.")
@click.option("--set-as-default", is_flag=True, help="Refused: deployments name their pool.")
@click.option(
    "--provision-infrastructure",
    "--provision-infra",
    "provision",
    is_flag=True,
    help="Refused: infrastructure is what blocks say.",
)
def create(
    name: str,
    paused: bool,
    kind: str | None,
    base_job_template: str | None,
    limit: int | None,
    description: str | None,
    overwrite: bool,
    set_as_default: bool,
    provision: bool,
) -> None:
    """Create a work pool."""
    _refuse(set_as_default, provision, name)
    given = {
        "type": kind,
        "concurrency_limit": limit,
        "description": description,
        "base_job_template": _template(base_job_template) if base_job_template else None,
        "is_paused": paused or None,
    }
    values = {key: value for key, value in given.items() if value is not None}
    with connect() as connection:
        row, created = _made(connection, name, values, overwrite)
    message = f"Created the work pool {name!r}. Serve it with `{serving.start_command(name)}`."
    output.done(current(), message if created else f"Changed the work pool {name!r}.", row, _COLUMNS, _name)


def _refuse(set_as_default: bool, provision: bool, name: str) -> None:
    if set_as_default:
        raise UsageProblem(
            "There is no default among work pools: who names none means that of agents.",
            hint=f"Name it in the deployment: penstock deployment build … -p {name}",
        )
    if provision:
        raise UsageProblem(
            "A work pool has no infrastructure of its own: an agent makes what each run's deployment says.",
            hint="Describe it in a block (penstock block create TYPE) and build the deployment with -ib TYPE/NAME.",
        )


def _made(connection: Connection, name: str, values: dict[str, Any], overwrite: bool) -> tuple[dict[str, Any], bool]:
    """The pool, and whether it is new."""
    from penstock.client import work_pools
    from penstock.errors import Conflict
    from penstock.model.work_pools import WorkPoolCreate

    try:
        return connection.row(work_pools.create_work_pool(WorkPoolCreate(name=name, **values))), True
    except Conflict:
        if not overwrite:
            raise
    row = find(connection, name)
    kind = values.pop("type", row["type"])
    if kind != row["type"]:
        raise UsageProblem(f"The work pool {name!r} is of type {row['type']}, which stays what it is.")
    return _change(connection, name, values), False


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
    """Show a work pool, its queues, and the runs that take its slots."""
    from penstock.client import flow_run_limits, work_queues

    with connect() as connection:
        row = find(connection, name)
        queues = connection.rows(work_queues.read_work_queues(work_pool=name, limit=200))
        row["queues"] = [queue["name"] for queue in queues]
        add_live_runs(connection, row, flow_run_limits.read_slots_of_work_pool(name))
    columns = [Column(column.title, column.field, show=column.show) for column in _COLUMNS]
    columns += [Column("QUEUES", "queues"), *LIVE_RUNS]
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


@command.command("get-default-base-job-template", data=False)
@click.option("-t", "--type", "kind", metavar="TYPE", default=AGENT_TYPE, help="Type of the pool.")
@click.option("-f", "--file", "path", metavar="FILE", help="Write it to this file instead.")
def get_default_base_job_template(kind: str, path: str | None) -> None:
    """Print the job template of a new pool as JSON: for a pool of agents an empty one."""
    if kind != AGENT_TYPE:
        raise UsageProblem(
            f"Penstock has no job templates for pools of type {kind!r}: they belong to workers.",
            hint="Agents take a job's infrastructure from its deployment's block: penstock block create TYPE.",
        )
    text = json.dumps({}) + "\n"
    if path is None:
        output.write(text)
    else:
        Path(path).write_text(text)
        current().say(f"Wrote {path}.")


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
