"""`penstock deployment`: what runs, where and when."""

from typing import Any

import click

from penstock.cli import output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.deployment_apply import apply
from penstock.cli.deployment_build import build
from penstock.cli.deployment_check import check
from penstock.cli.deployment_details import COLUMNS as DETAILS
from penstock.cli.deployment_details import add_details, schedules_text
from penstock.cli.deployment_limit import clear_concurrency_limit, set_concurrency_limit
from penstock.cli.deployment_render import render
from penstock.cli.deployment_run import run
from penstock.cli.deployment_schedule import pause_schedule, resume_schedule, schedule, set_schedule
from penstock.cli.grammar import group
from penstock.cli.live_runs import LIVE_RUNS, add_live_runs
from penstock.cli.output import Column
from penstock.cli.session import current

COLUMNS = [
    Column("NAME", "full_name"),
    Column("QUEUE", "work_queue_name"),
    Column("SCHEDULE", "schedules", show=schedules_text),
    Column("ACTIVE", "is_schedule_active"),
    Column("STATUS", "status"),
    Column("ID", "id"),
    Column("POOL", "work_pool_name", wide=True),
    Column("LIMIT", "concurrency_limit", wide=True),
    Column("ENTRYPOINT", "entrypoint", wide=True),
    Column("TAGS", "tags", wide=True),
    Column("UPDATED", "updated", wide=True, show=times.ago),
]


def name_of(row: output.Row) -> str:
    """The reference of a deployment that other commands accept: flow/deployment."""
    return str(row["full_name"])


def _full(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "full_name": f"{row['flow_name']}/{row['name']}"}


@group("deployment")
def command() -> None:
    """Build, apply, run and manage deployments."""


for _verb in (build, apply, run, render, check, schedule, set_schedule, pause_schedule, resume_schedule):
    command.add_command(_verb)
command.add_command(set_concurrency_limit)
command.add_command(clear_concurrency_limit)

_ID = click.option("--id", "id_", metavar="UUID", help="Id of the deployment, instead of NAME.")


@command.command("ls")
@click.option("--flow-name", "flow_names", multiple=True, metavar="NAME", help="Only deployments of this flow.")
@click.option(
    "--by-created/--no-by-created", default=False, help="Whether to list the newest first instead of by name."
)
def ls(flow_names: tuple[str, ...], by_created: bool) -> None:
    """List deployments."""
    from penstock.client import deployments

    with connect() as connection:
        rows = connection.rows(
            deployments.read_deployments(
                flow_filter={"name": {"any_": list(flow_names)}} if flow_names else None,
                sort="CREATED_DESC" if by_created else "NAME_ASC",
                limit=200,
            )
        )
        rows = [_full(row) for row in references.with_flow_names(connection, rows)]
    if not by_created:
        rows.sort(key=name_of)
    output.emit(current(), rows, COLUMNS, name_of)


def _find(connection: Connection, name: str | None, id_: str | None = None) -> dict[str, Any]:
    return _full(references.one_deployment(connection, name, id_))


@command.command("inspect")
@click.argument("name")
def inspect(name: str) -> None:
    """Show a deployment: where its code lies, on what it runs, and when; secrets are masked."""
    from penstock.client import flow_run_limits

    with connect() as connection:
        row = _find(connection, name)
        add_live_runs(connection, row, flow_run_limits.read_slots_of_deployment(row["id"]))
        add_details(connection, row)
    shown = [*DETAILS[:-1], *LIVE_RUNS, DETAILS[-1]]
    columns = [column for column in shown if output.field(row, column.field) not in (None, [], {})]
    output.emit_one(current(), row, columns, name_of)


@command.command("delete")
@click.argument("name", required=False)
@_ID
def delete(name: str | None, id_: str | None) -> None:
    """Delete a deployment; runs that it planned are deleted, all others stay."""
    from penstock.client import deployments

    session = current()
    with connect() as connection:
        for reference in references.expand([name]) if name else [None]:
            row = _find(connection, reference, id_)
            connection.send(deployments.delete_deployment(row["id"]))
            output.done(session, f"Deleted the deployment {name_of(row)!r}.", row, COLUMNS, name_of)
