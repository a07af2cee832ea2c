"""`penstock deployment schedule`: the schedules of a deployment, one by one; and the older verbs for just one of them."""

import sys
from typing import Any

import click

from penstock.cli import assignments, output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command, group
from penstock.cli.output import Column
from penstock.cli.schedule_preview import preview, preview_rows
from penstock.cli.schedules import CATCHUP, NAMES, schedule_of, schedule_options, schedule_text
from penstock.cli.session import current
from penstock.errors import NotFound, did_you_mean

_COLUMNS = [
    Column("NAME", "name"),
    Column("SCHEDULE", "schedule", show=schedule_text),
    Column("ACTIVE", "is_schedule_active"),
    Column("ID", "id"),
]
_SCHEDULE_COLUMNS = [
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("SCHEDULE", "schedule", show=schedule_text),
    Column("ACTIVE", "active"),
    Column("NEXT", "next", show=times.ago),
    Column("CATCHUP", "catchup_policy"),
    Column("PARAMETERS", "parameters", wide=True),
    Column("MAX ACTIVE", "max_active_runs", wide=True),
    Column("MAX PLANNED", "max_scheduled_runs", wide=True),
]


@group("schedule")
def schedule() -> None:
    """Manage the schedules of a deployment."""


schedule.add_command(preview)
_YES = click.option("-y", "--yes", "--accept-yes", "yes", is_flag=True, help="Do not ask for a confirmation.")


def _rest_options(function: Any) -> Any:
    """Decorator: what a schedule has besides its times."""
    for option in (
        click.option(
            "--max-scheduled-runs", type=click.IntRange(min=1), help="How many runs are planned ahead at most."
        ),
        click.option("--max-active-runs", type=click.IntRange(min=1), help="While so many run, a due one waits."),
        CATCHUP,
        click.option(
            "--params", metavar="JSON", help="Parameters of its runs as a JSON object; - reads it from stdin."
        ),
        click.option("-p", "--param", "params_", multiple=True, metavar="KEY=VALUE", help="One parameter of its runs."),
        click.option("-n", "--name", "label", metavar="NAME", help="Name of the schedule."),
    ):
        function = option(function)
    return function


def given(**values: Any) -> dict[str, Any]:
    """Those of `values` that were said."""
    return {key: value for key, value in values.items() if value is not None}


def _rest(options: dict[str, Any]) -> dict[str, Any]:
    parameters = None
    if options["params_"] or options["params"]:
        parameters = {
            **assignments.json_object(options["params"], "--params"),
            **assignments.values(options["params_"], "--param"),
        }
    return given(
        name=options["label"],
        parameters=parameters,
        catchup_policy=options["catchup"],
        max_active_runs=options["max_active_runs"],
        max_scheduled_runs=options["max_scheduled_runs"],
    )


def _id(row: output.Row) -> str:
    return str(row["id"])


def _schedules(connection: Connection, deployment: dict[str, Any]) -> list[dict[str, Any]]:
    from penstock.client import deployments

    return connection.rows(deployments.read_deployment_schedules(deployment["id"]))


def _one(connection: Connection, deployment: dict[str, Any], reference: str) -> dict[str, Any]:
    """The schedule that is called `reference`, or whose id starts with it. Raises NotFound with the nearest name."""
    rows = _schedules(connection, deployment)
    named = [row for row in rows if row.get("name") == reference]
    if (not named and references.is_prefix(reference)) or references.as_uuid(reference):
        digits = reference.replace("-", "").lower()
        named = [row for row in rows if str(row["id"]).replace("-", "").startswith(digits)]
    if len(named) != 1:
        known = [row["name"] for row in rows if row.get("name")]
        raise NotFound(
            f"{_name(deployment)} has no schedule {reference!r}.{did_you_mean(reference, known)}",
            hint=f"See `penstock deployment schedule ls {_name(deployment)}`.",
        )
    return named[0]


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageProblem("This needs a confirmation, and there is no terminal to ask on.", hint="Say it with --yes.")
    click.confirm(question, abort=True, err=True)


@schedule.command("ls")
@click.argument("name")
def ls(name: str) -> None:
    """List a deployment's schedules, and when each is due next."""
    with connect() as connection:
        deployment = references.one_deployment(connection, name, None)
        rows = _schedules(connection, deployment)
        for row in rows:
            active = row["active"] and not deployment.get("paused")
            found = preview_rows(connection, row["schedule"], 1) if active else []
            row["next"] = found[0]["time"] if found else None
    output.emit(current(), rows, _SCHEDULE_COLUMNS, _id)


@schedule.command("create")
@click.argument("name")
@schedule_options
@_rest_options
@click.option("--active/--inactive", default=True, help="Whether it makes runs.")
@click.option("--replace", is_flag=True, help="Put it in place of the schedules that there are.")
@_YES
def create(name: str, active: bool, replace: bool, yes: bool, **options: Any) -> None:
    """Add a schedule to a deployment."""
    from penstock.client import deployments
    from penstock.model.deployments import DeploymentScheduleCreate, DeploymentUpdate

    wanted = schedule_of(**{key: options[key] for key in NAMES})
    if wanted is None:
        raise UsageProblem("Say when it is due.", hint="--cron EXPRESSION, --interval SECONDS or --rrule RULE.")
    asked = DeploymentScheduleCreate(schedule=wanted, active=active, **_rest(options))
    with connect() as connection:
        deployment = references.one_deployment(connection, name, None)
        if replace:
            there = len(_schedules(connection, deployment))
            if there:
                _confirm(f"Replace {there} schedules of {_name(deployment)}?", yes)
            connection.send(deployments.update_deployment(deployment["id"], DeploymentUpdate(schedules=[asked])))
            row = _schedules(connection, deployment)[0]
        else:
            row = connection.rows(deployments.create_deployment_schedules(deployment["id"], [asked]))[0]
    message = f"{_name(deployment)} runs by {schedule_text(row['schedule'])}."
    output.done(current(), message, row, _SCHEDULE_COLUMNS, _id)


@schedule.command("update")
@click.argument("name")
@click.argument("reference", metavar="SCHEDULE")
@schedule_options
@_rest_options
def update(name: str, reference: str, **options: Any) -> None:
    """Change a schedule, by its id or name; what is not said stays."""
    from penstock.client import deployments
    from penstock.model.deployments import DeploymentScheduleUpdate

    wanted = schedule_of(**{key: options[key] for key in NAMES})
    change = DeploymentScheduleUpdate(**given(schedule=wanted), **_rest(options))
    if not change.model_fields_set:
        raise UsageProblem("Nothing is to be changed.", hint="Say what, e.g. --cron EXPRESSION or --catchup latest.")
    with connect() as connection:
        deployment = references.one_deployment(connection, name, None)
        row = _one(connection, deployment, reference)
        connection.send(deployments.update_deployment_schedule(deployment["id"], row["id"], change))
        row = _one(connection, deployment, str(row["id"]))
    message = f"{_name(deployment)} runs by {schedule_text(row['schedule'])}."
    output.done(current(), message, row, _SCHEDULE_COLUMNS, _id)


@schedule.command("delete")
@click.argument("name")
@click.argument("reference", metavar="SCHEDULE")
@_YES
def delete(name: str, reference: str, yes: bool) -> None:
    """Delete a schedule, by its id or name, with the runs that it has planned."""
    from penstock.client import deployments

    with connect() as connection:
        deployment = references.one_deployment(connection, name, None)
        row = _one(connection, deployment, reference)
        _confirm(f"Delete the schedule {schedule_text(row['schedule'])} of {_name(deployment)}?", yes)
        connection.send(deployments.delete_deployment_schedule(deployment["id"], row["id"]))
    message = f"{_name(deployment)} does not run by {schedule_text(row['schedule'])} any more."
    output.done(current(), message, row, _SCHEDULE_COLUMNS, _id)


@schedule.command("clear")
@click.argument("name")
@_YES
def clear(name: str, yes: bool) -> None:
    """Delete all schedules of a deployment with the runs that they have planned."""
    from penstock.client import deployments
    from penstock.model.deployments import DeploymentUpdate

    with connect() as connection:
        deployment = references.one_deployment(connection, name, None)
        rows = _schedules(connection, deployment)
        if rows:
            _confirm(f"Delete {len(rows)} schedules of {_name(deployment)}?", yes)
            connection.send(deployments.update_deployment(deployment["id"], DeploymentUpdate(schedules=[])))
        deployment = references.one_deployment(connection, str(deployment["id"]), None)
    output.done(current(), f"{_name(deployment)} has no schedule any more.", deployment, _COLUMNS, _name)


def _switch(name: str, reference: str, active: bool) -> None:
    from penstock.client import deployments
    from penstock.model.deployments import DeploymentScheduleUpdate

    with connect() as connection:
        deployment = references.one_deployment(connection, name, None)
        row = _one(connection, deployment, reference)
        change = DeploymentScheduleUpdate(active=active)
        connection.send(deployments.update_deployment_schedule(deployment["id"], row["id"], change))
        row["active"] = active
    message = f"The schedule {schedule_text(row['schedule'])} {'goes on' if active else 'is paused'}."
    output.done(current(), message, row, _SCHEDULE_COLUMNS, _id)


@schedule.command("pause")
@click.argument("name")
@click.argument("reference", metavar="SCHEDULE")
def pause(name: str, reference: str) -> None:
    """Pause a schedule, by its id or name: nothing is planned, and nothing is owed for that time."""
    _switch(name, reference, False)


@schedule.command("resume")
@click.argument("name")
@click.argument("reference", metavar="SCHEDULE")
def resume(name: str, reference: str) -> None:
    """Let a paused schedule go on."""
    _switch(name, reference, True)


def _name(row: output.Row) -> str:
    return f"{row['flow_name']}/{row['name']}"


@command("set-schedule")
@click.argument("name")
@schedule_options
@CATCHUP
@click.option("--no-schedule", is_flag=True, help="Remove the schedule.")
def set_schedule(name: str, no_schedule: bool, catchup: str | None, **times_of: Any) -> None:
    """Give a deployment one schedule in place of those that it has, or take them away."""
    from penstock.client import deployments
    from penstock.model.deployments import DeploymentScheduleCreate, DeploymentUpdate

    schedule = schedule_of(**times_of)
    if (schedule is None) != no_schedule:
        raise UsageProblem(
            "Say one schedule, or --no-schedule.", hint="--cron EXPRESSION, --interval SECONDS or --rrule RULE."
        )
    said = given(catchup_policy=catchup)
    wanted = [DeploymentScheduleCreate(schedule=schedule, **said)] if schedule is not None else []
    with connect() as connection:
        row = references.one_deployment(connection, name, None)
        connection.send(deployments.update_deployment(row["id"], DeploymentUpdate(schedules=wanted)))
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
