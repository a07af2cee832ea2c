"""The schedules of a deployment on the command line."""

import click

from penstock.cli import output, references
from penstock.cli.connection import connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.schedules import schedule_of, schedule_text
from penstock.cli.session import current

_COLUMNS = [
    Column("NAME", "name"),
    Column("SCHEDULE", "schedule", show=schedule_text),
    Column("ACTIVE", "is_schedule_active"),
    Column("ID", "id"),
]


def _name(row: output.Row) -> str:
    return f"{row['flow_name']}/{row['name']}"


@command("set-schedule")
@click.argument("name")
@click.option("--interval", type=click.FloatRange(min=0, min_open=True), help="Run every so many seconds.")
@click.option("--anchor-date", metavar="TIME", help="From when --interval counts.")
@click.option("--rrule", metavar="RULE", help="Run by this recurrence rule (RFC 5545).")
@click.option("--cron", metavar="EXPRESSION", help="Run by this cron expression.")
@click.option(
    "--day_or", "day_or", metavar="BOOL", type=bool, help="Whether day of month and weekday are joined by or."
)
@click.option("--timezone", metavar="ZONE", help="Time zone of the schedule, e.g. Europe/Berlin.")
@click.option("--no-schedule", is_flag=True, help="Remove the schedule.")
def set_schedule(
    name: str,
    interval: float | None,
    anchor_date: str | None,
    rrule: str | None,
    cron: str | None,
    day_or: bool | None,
    timezone: str | None,
    no_schedule: bool,
) -> None:
    """Give a deployment a schedule, or take it away."""
    from penstock.client import deployments
    from penstock.model.deployments import DeploymentUpdate

    schedule = schedule_of(
        cron=cron, interval=interval, rrule=rrule, anchor_date=anchor_date, timezone=timezone, day_or=day_or
    )
    if (schedule is None) != no_schedule:
        raise UsageProblem(
            "Say one schedule, or --no-schedule.", hint="--cron EXPRESSION, --interval SECONDS or --rrule RULE."
        )
    with connect() as connection:
        row = references.one_deployment(connection, name, None)
        connection.send(deployments.update_deployment(row["id"], DeploymentUpdate(schedule=schedule)))
        row = references.one_deployment(connection, str(row["id"]), None)
    text = schedule_text(row["schedule"])
    message = f"{_name(row)} runs by {text}." if schedule else f"{_name(row)} has no schedule any more."
    output.done(current(), message, row, _COLUMNS, _name)


def _set_active(name: str, active: bool) -> None:
    from penstock.client import deployments

    call = deployments.set_schedule_active if active else deployments.set_schedule_inactive
    with connect() as connection:
        row = references.one_deployment(connection, name, None)
        connection.send(call(row["id"]))
    row["is_schedule_active"] = active
    message = f"The schedule of {_name(row)} {'goes on' if active else 'is paused'}."
    output.done(current(), message, row, _COLUMNS, _name)


@command("pause-schedule")
@click.argument("name")
def pause_schedule(name: str) -> None:
    """Pause a deployment's schedule."""
    _set_active(name, False)


@command("resume-schedule")
@click.argument("name")
def resume_schedule(name: str) -> None:
    """Let a deployment's paused schedule go on."""
    _set_active(name, True)
