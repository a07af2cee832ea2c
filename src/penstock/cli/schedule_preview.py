"""`penstock deployment schedule preview`: the next times of schedules, before or after a deployment has them."""

from datetime import datetime
from typing import Any

import click

from penstock.cli import output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.schedules import NAMES, schedule_of, schedule_options, schedule_text
from penstock.cli.session import current

_COLUMNS = [
    Column("UTC", "time", show=lambda value: _short(value)),
    Column("LOCAL", "local", show=lambda value: _short(value)),
    Column("ZONE", "timezone"),
    Column("IN", "time", show=times.ago),
    Column("NOTE", "note"),
    Column("SCHEDULE", "schedule", show=schedule_text, wide=True),
]


@command("preview")
@click.argument("name", required=False)
@schedule_options
@click.option("-n", "--count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many times.")
@click.option("--after", metavar="TIME", help="Later than this instead of now.")
def preview(name: str | None, count: int, after: str | None, **options: Any) -> None:
    """Show when a schedule is due next: those of a deployment, or the one that options describe.

    Each time is shown in UTC and as clocks show it there, with a note where clocks have changed.
    """
    wanted = schedule_of(**{key: options[key] for key in NAMES})
    if (wanted is None) == (name is None):
        raise UsageProblem(
            "Name a deployment, or say one schedule.", hint="--cron EXPRESSION, --interval SECONDS or --rrule RULE."
        )
    with connect() as connection:
        schedules = [wanted.model_dump(mode="json")] if wanted is not None else _active(connection, str(name))
        found = [row for schedule in schedules for row in preview_rows(connection, schedule, count, after)]
    found.sort(key=lambda row: datetime.fromisoformat(str(row["time"])))
    output.emit(current(), found[:count], _COLUMNS, lambda row: str(row["time"]))


def preview_rows(
    connection: Connection, schedule: dict[str, Any], count: int, after: str | None = None
) -> list[dict[str, Any]]:
    """The next times of a schedule, which is plain JSON."""
    from pydantic import TypeAdapter

    from penstock.client import schedules
    from penstock.model.schedules import Schedule

    adapter: TypeAdapter[Schedule] = TypeAdapter(Schedule)
    moment = times.parse_moment(after) if after is not None else None
    call = schedules.preview_schedule(adapter.validate_python(schedule), count=count, after=moment)
    return [{**row, "schedule": schedule} for row in connection.rows(call)]


def _active(connection: Connection, name: str) -> list[dict[str, Any]]:
    from penstock.client import deployments

    deployment = references.one_deployment(connection, name, None)
    full_name = f"{deployment['flow_name']}/{deployment['name']}"
    if deployment.get("paused"):
        current().say(f"{full_name} is paused: these are its times if it is resumed.")
    rows = connection.rows(deployments.read_deployment_schedules(deployment["id"]))
    active = [row["schedule"] for row in rows if row["active"]]
    if not active:
        current().say(f"{full_name} has no active schedule.")
    return active


def _short(value: Any) -> str:
    """ISO 8601 without what says nothing: 2026-03-29 02:00:00+02:00."""
    return str(value).replace("T", " ").replace("Z", "").replace("+00:00", "").removesuffix(".000000")
