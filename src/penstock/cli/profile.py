"""`penstock profile`: named sets of settings."""

import click

from penstock import settings
from penstock.cli import output, profile_file
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import Conflict

_COLUMNS = [
    Column("NAME", "name"),
    Column("ACTIVE", "active"),
    Column("API", "api_url"),
    Column("SETTINGS", "settings", wide=True),
]


def _row(name: str, values: dict[str, str], active: str) -> dict[str, object]:
    shown = {key: masked(key, value) for key, value in sorted(values.items())}
    return {"name": name, "active": name == active, "api_url": values.get("PENSTOCK_API_URL"), "settings": shown}


def masked(name: str, value: object) -> object:
    """`value`, or a mask if the setting is secret. A name that is no setting may be a misspelt secret: masked too."""
    setting = settings.SETTINGS.get(name)
    return "********" if value not in (None, "") and (setting is None or setting.secret) else value


def _name(row: output.Row) -> str:
    return str(row["name"])


@group("profile")
def command() -> None:
    """Manage profiles, which are named sets of settings."""


@command.command("ls")
def ls() -> None:
    """List the profiles."""
    _, profiles = profile_file.read()
    active = settings.active_profile()
    output.emit(current(), [_row(name, profiles[name], active) for name in sorted(profiles)], _COLUMNS, _name)


@command.command("create")
@click.argument("name")
@click.option("--from", "source", metavar="PROFILE", help="Copy the settings of this profile.")
def create(name: str, source: str | None) -> None:
    """Create a profile."""
    active, profiles = profile_file.read()
    profile_file.check_new(name, profiles)
    profiles[name] = dict(profile_file.existing(source, profiles)) if source else {}
    profile_file.write(active, profiles)
    output.done(
        current(),
        f"Created the profile {name!r}. Use it with `penstock profile use {name}`.",
        _row(name, profiles[name], active),
        _COLUMNS,
        _name,
    )


@command.command("use")
@click.argument("name")
def use(name: str) -> None:
    """Make a profile the active one."""
    _, profiles = profile_file.read()
    values = profile_file.existing(name, profiles)
    profile_file.write(name, profiles)
    where = values.get("PENSTOCK_API_URL") or "a local server"
    output.done(
        current(),
        f"Now using the profile {name!r}, which points at {where}.",
        _row(name, values, name),
        _COLUMNS,
        _name,
    )


@command.command("delete")
@click.argument("name")
def delete(name: str) -> None:
    """Delete a profile that is not the active one."""
    active, profiles = profile_file.read()
    values = profile_file.existing(name, profiles)
    if name in {active, settings.active_profile()}:
        raise Conflict(
            f"The profile {name!r} is the active one and cannot be deleted.",
            hint="Use another one first: `penstock profile use NAME`.",
        )
    del profiles[name]
    profile_file.write(active, profiles)
    output.done(current(), f"Deleted the profile {name!r}.", _row(name, values, active), _COLUMNS, _name)


@command.command("rename")
@click.argument("name")
@click.argument("new_name")
def rename(name: str, new_name: str) -> None:
    """Give a profile another name."""
    active, profiles = profile_file.read()
    values = profile_file.existing(name, profiles)
    profile_file.check_new(new_name, profiles)
    del profiles[name]
    profiles[new_name] = values
    active = new_name if active == name else active
    profile_file.write(active, profiles)
    message = f"Renamed the profile {name!r} to {new_name!r}."
    output.done(current(), message, _row(new_name, values, active), _COLUMNS, _name)


@command.command("inspect")
@click.argument("name", required=False)
def inspect(name: str | None) -> None:
    """Show a profile's settings; without NAME those of the active one."""
    active = settings.active_profile()
    _, profiles = profile_file.read()
    values = profile_file.existing(name or active, profiles)
    columns = [Column("NAME", "name"), Column("ACTIVE", "active")]
    columns += [Column(key, f"settings.{key}") for key in sorted(values)]
    output.emit_one(current(), _row(name or active, values, active), columns, _name)
