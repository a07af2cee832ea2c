"""`penstock config`: settings of the active profile, and what holds after environment and defaults had their say."""

import os

import click

from penstock import logs, settings
from penstock.cli import output, profile_file
from penstock.cli.errors import CheckFailed, UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.profile import masked
from penstock.cli.session import current
from penstock.errors import ConfigurationError

_COLUMNS = [
    Column("SETTING", "name"),
    Column("VALUE", "value"),
    Column("FROM", "source"),
    Column("MEANING", "meaning", wide=True),
]
#: Where the profile lies cannot be said in the profile.
_NOT_IN_PROFILES = {"PENSTOCK_HOME", "PENSTOCK_PROFILE", "PENSTOCK_PROFILES_PATH"}


def _name(row: output.Row) -> str:
    return str(row["name"])


@group("config")
def command() -> None:
    """View and change settings of the active profile."""


@command.command("view")
@click.option("--show-defaults/--hide-defaults", default=False, help="Whether to show settings that nobody set.")
@click.option("--show-sources/--hide-sources", default=True, help="Whether to show where each value comes from.")
@click.option("--show-secrets/--hide-secrets", default=False, help="Whether to show secret values in clear.")
def view(show_defaults: bool, show_sources: bool, show_secrets: bool) -> None:
    """Show the settings that are in force."""
    session = current()
    session.say(f"Profile: {settings.active_profile()} ({settings.profiles_path()})")
    rows: list[dict[str, object]] = []
    for name, setting in settings.SETTINGS.items():
        value, source = settings.read(name)
        if source == settings.DEFAULT and not show_defaults:
            continue
        shown = value if show_secrets else masked(name, value)
        rows.append({"name": name, "value": shown, "source": source, "meaning": setting.meaning})
    columns = _COLUMNS if show_sources else [column for column in _COLUMNS if column.field != "source"]
    output.emit(session, rows, columns, _name)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageProblem(
            f"{text!r} is no assignment.", hint="Write SETTING=VALUE, e.g. PENSTOCK_LOGGING_LEVEL=DEBUG."
        )
    setting = settings.lookup(name)
    _check_place(name)
    settings.parse(setting, value, "command line")
    _refuse_unusable(name, value)
    return name, value


def _refuse_unusable(name: str, value: object) -> None:
    """Raise ConfigurationError for a value that can be read, and that every program which uses it would refuse."""
    if name == "PENSTOCK_LOGGING_LEVEL":
        logs.level_number(str(value))
    elif name == "PENSTOCK_API_URL" and value:
        from penstock.client.connections import Connections

        Connections(str(value))


def _check_place(name: str) -> None:
    if name in _NOT_IN_PROFILES:
        raise UsageProblem(
            f"{name} cannot be part of a profile, as it says where profiles are.",
            hint=f"Set it in the environment: export {name}=…",
        )


@command.command("set")
@click.argument("settings_", metavar="SETTING=VALUE...", nargs=-1, required=True)
def set_(settings_: tuple[str, ...]) -> None:
    """Set settings in the active profile; none is written unless all are right."""
    assignments = dict(_assignment(text) for text in settings_)
    active, profiles = profile_file.read()
    used = settings.active_profile()
    values = profile_file.existing(used, profiles)
    values.update(assignments)
    profile_file.write(active, profiles)
    session = current()
    for name, value in assignments.items():
        _done(name, value, f"Set {name} in the profile {used!r}.", used)
        if name == "PENSTOCK_API_URL" and value and not value.rstrip("/").endswith("/api"):
            session.warn(f"The path of a server's API usually ends in /api: {value.rstrip('/')}/api")
        if name in os.environ:
            session.warn(f"{name} is also set in the environment, which goes before the profile.")


@command.command("unset")
@click.argument("settings_", metavar="SETTING...", nargs=-1, required=True)
def unset(settings_: tuple[str, ...]) -> None:
    """Remove settings from the active profile."""
    active, profiles = profile_file.read()
    used = settings.active_profile()
    values = profile_file.existing(used, profiles)
    for name in settings_:
        if name not in values:
            settings.lookup(name)
            _check_place(name)
            raise UsageProblem(f"{name} is not set in the profile {used!r}.", hint="See `penstock config view`.")
    for name in settings_:
        del values[name]
    profile_file.write(active, profiles)
    for name in settings_:
        _done(name, None, f"Removed {name} from the profile {used!r}.", used)


def _done(name: str, value: str | None, message: str, profile: str) -> None:
    row = {"name": name, "value": masked(name, value), "source": f"profile {profile!r}"}
    output.done(current(), message, row, _COLUMNS[:3], _name)


def problems() -> list[dict[str, str]]:
    """Everything wrong with the environment's and the profile's settings, as rows of setting, place and problem."""
    found = [
        {
            "name": name,
            "place": "environment",
            "problem": "no such setting" + (f"; did you mean {close}?" if close else ""),
        }
        for name, close in settings.unknown_variables().items()
    ]
    place = f"profile {settings.active_profile()!r}"
    for name in settings.profile_values():
        try:
            settings.lookup(name)
        except ConfigurationError as error:
            found.append({"name": name, "place": place, "problem": error.message})
    for name in settings.SETTINGS:
        try:
            _refuse_unusable(name, settings.read(name)[0])
        except ConfigurationError as error:
            found.append({"name": name, "place": place, "problem": error.message})
    return found


@command.command("validate")
def validate() -> None:
    """Check every setting of the environment and the active profile; exit code 7 if one is wrong."""
    found = problems()
    session = current()
    columns = [Column("SETTING", "name"), Column("PLACE", "place"), Column("PROBLEM", "problem")]
    if found or session.output:
        output.emit(session, found, columns, _name)
    if found:
        raise CheckFailed(f"{len(found)} setting{'s are' if len(found) > 1 else ' is'} wrong.")
    session.say("All settings are right.")
