"""`penstock work-queue`: the queues that runs wait in until an agent takes them."""

from typing import Any

import click

from penstock.cli import output, references, serving, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.live_runs import LIVE_RUNS, add_live_runs
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.cli.switches import add_switches
from penstock.errors import NotFound

_COLUMNS = [
    Column("NAME", "name"),
    Column("POOL", "work_pool_name"),
    Column("PRIORITY", "priority"),
    Column("LIMIT", "concurrency_limit"),
    Column("PAUSED", "is_paused"),
    Column("STATUS", "status"),
    Column("LAST POLLED", "last_polled", show=times.ago),
    Column("DESCRIPTION", "description", wide=True),
    Column("ID", "id", wide=True),
]
_RUN_COLUMNS = [
    Column("DUE", "next_scheduled_start_time"),
    Column("IN", "next_scheduled_start_time", show=times.ago),
    Column("NAME", "name"),
    Column("STATE", "state_name"),
    Column("ID", "id"),
    Column("DEPLOYMENT", "deployment_id", wide=True),
]

_POOL = click.option("-p", "--pool", metavar="POOL", help="Work pool of the queue; by default that of agents.")


def _name(row: output.Row) -> str:
    return str(row["name"])


def find(connection: Connection, reference: str, pool: str | None) -> dict[str, Any]:
    """The queue that `reference` (its name or id) names. Raises NotFound with the nearest name."""
    from penstock.client import work_queues

    identifier = references.as_uuid(reference)
    if identifier is not None:
        return connection.row(work_queues.read_work_queue(identifier))
    try:
        return connection.row(work_queues.read_work_queue_by_name(reference, pool))
    except NotFound as error:
        if "pool" in error.message.lower() and pool is not None and "queue" not in error.message.lower():
            raise
        known = [row["name"] for row in connection.rows(work_queues.read_work_queues(work_pool=pool, limit=200))]
        where = f" in the pool {pool!r}" if pool else ""
        sentence = f"There is no work queue {reference!r}{where}"
        raise references.unknown("work-queue", reference, known, sentence) from None


def _change(connection: Connection, name: str, values: dict[str, Any], pool: str | None) -> dict[str, Any]:
    from penstock.client import work_queues
    from penstock.model.work_queues import WorkQueueUpdate

    row = find(connection, name, pool)
    connection.send(work_queues.update_work_queue(row["id"], WorkQueueUpdate(**values)))
    return {**row, **values}


@group("work-queue")
def command() -> None:
    """Manage work queues."""


@command.command("create")
@click.argument("name")
@click.option("-l", "--limit", type=click.IntRange(min=0), help="Most runs of the queue that may be live at once.")
@click.option(
    "-t", "--tag", "tags", multiple=True, metavar="TAG", help="Refused: queues are chosen by deployments, not by tags."
)
@_POOL
@click.option("-q", "--priority", type=click.IntRange(min=1), help="Queues with a lower number are served first.")
def create(name: str, limit: int | None, tags: tuple[str, ...], pool: str | None, priority: int | None) -> None:
    """Create a work queue."""
    from penstock.client import work_queues
    from penstock.model.work_queues import WorkQueueCreate

    if tags:
        raise UsageProblem(
            "Work queues do not collect runs by tags.",
            hint=f"Name the queue in the deployment: penstock deployment build … -q {name}",
        )
    request = WorkQueueCreate(name=name, concurrency_limit=limit, priority=priority)
    with connect() as connection:
        row = connection.row(work_queues.create_work_queue(request, pool))
    where = f" in the pool {pool!r}" if pool else ""
    message = f"Created the work queue {name!r}{where}. Serve it with `{serving.start_command(pool, name)}`."
    output.done(current(), message, row, _COLUMNS, _name)


@command.command("ls")
@click.option("-v", "--verbose", "wide", is_flag=True, help="The same as -o wide.")
@click.option("-m", "--match", metavar="PREFIX", help="Only queues whose names begin so.")
@click.option("-p", "--pool", metavar="POOL", help="Only queues of this work pool.")
def ls(wide: bool, match: str | None, pool: str | None) -> None:
    """List work queues."""
    from penstock.client import work_queues

    session = current()
    if wide and session.output is None:
        session.output = "wide"
    wanted = {"name": {"startswith_": [match]}} if match else None
    with connect() as connection:
        rows = connection.rows(work_queues.read_work_queues(work_queue_filter=wanted, work_pool=pool, limit=200))
    rows.sort(key=lambda row: (row.get("work_pool_name") or "", row.get("priority") or 0, row["name"]))
    output.emit(session, rows, _COLUMNS, _name)


@command.command("inspect")
@click.argument("name")
@_POOL
def inspect(name: str, pool: str | None) -> None:
    """Show a work queue, whether it is healthy, and the runs that take its slots."""
    from penstock.client import flow_run_limits, work_queues

    with connect() as connection:
        row = find(connection, name, pool)
        status = connection.row(work_queues.read_work_queue_status(row["id"]))
        add_live_runs(connection, row, flow_run_limits.read_slots_of_work_queue(row["id"]))
    row["healthy"] = status.get("healthy")
    row["late_runs_count"] = status.get("late_runs_count")
    columns = [*_COLUMNS, Column("HEALTHY", "healthy"), Column("LATE RUNS", "late_runs_count"), *LIVE_RUNS]
    columns = [Column(column.title, column.field, show=column.show) for column in columns]
    output.emit_one(current(), row, columns, _name)


add_switches(command, "queue", _change, _COLUMNS, options=[_POOL])


@command.command("set-priority")
@click.argument("name")
@click.argument("priority", type=click.IntRange(min=1))
@_POOL
def set_priority(name: str, priority: int, pool: str | None) -> None:
    """Say which queues of a pool come first: 1 before 2. Queues with the same number are served alike."""
    with connect() as connection:
        row = _change(connection, name, {"priority": priority}, pool)
    output.done(current(), f"{row['name']!r} has the priority {priority}.", row, _COLUMNS, _name)


def upcoming(connection: Connection, hours: float | None, **filters: Any) -> list[dict[str, Any]]:
    """Scheduled runs that fit `filters`, the earliest first; with `hours` only those due within that time."""
    from datetime import timedelta

    from penstock import clock
    from penstock.client import flow_runs

    run_filter: dict[str, Any] = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    if hours is not None:
        run_filter["next_scheduled_start_time"] = {"before_": (clock.now() + timedelta(hours=hours)).isoformat()}
    return connection.rows(
        flow_runs.read_flow_runs(flow_run_filter=run_filter, sort="NEXT_SCHEDULED_START_TIME_ASC", limit=200, **filters)
    )


def show_runs(rows: list[dict[str, Any]]) -> None:
    """Print scheduled runs with their times."""
    output.emit(current(), rows, _RUN_COLUMNS, lambda row: str(row["id"]))


@command.command("preview")
@click.argument("name")
@click.option("-h", "--hours", type=click.FloatRange(min=0), help="Only runs due within so many hours.")
@_POOL
def preview(name: str, hours: float | None, pool: str | None) -> None:
    """List the runs that wait in a queue."""
    with connect() as connection:
        row = find(connection, name, pool)
        rows = upcoming(connection, hours, work_queue_filter={"id": {"any_": [row["id"]]}})
    show_runs(rows)


@command.command("read-runs")
@click.argument("name")
@_POOL
def read_runs(name: str, pool: str | None) -> None:
    """List the runs of a queue that are due now."""
    with connect() as connection:
        row = find(connection, name, pool)
        rows = upcoming(connection, 0, work_queue_filter={"id": {"any_": [row["id"]]}})
    show_runs(rows)


@command.command("delete")
@click.argument("name")
@_POOL
def delete(name: str, pool: str | None) -> None:
    """Delete a work queue."""
    from penstock.client import work_queues

    with connect() as connection:
        row = find(connection, name, pool)
        connection.send(work_queues.delete_work_queue(row["id"]))
    output.done(current(), f"Deleted the work queue {row['name']!r}.", row, _COLUMNS, _name)
