"""`penstock global-concurrency-limit`: limits with a name, of which code asks for slots."""

import json
from pathlib import Path
from typing import Any

import click

from penstock.cli import output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import NotFound


def _holders(rows: Any) -> str:
    """One holder after the other: how many slots, since when, for which run."""
    return "; ".join(
        f"{row['slots']} since {times.ago(row['since'])} for "
        + (f"flow run {row['flow_run_id']}" if row["flow_run_id"] else f"lease {row['holder_id']}")
        for row in rows or ()
    )


_COLUMNS = [
    Column("NAME", "name"),
    Column("LIMIT", "limit"),
    Column("TAKEN", "active_slots"),
    Column("ACTIVE", "active"),
    Column("DECAY/S", "slot_decay_per_second"),
    Column("UPDATED", "updated", show=times.ago),
    Column("CREATED", "created", wide=True, show=times.ago),
    Column("ID", "id", wide=True),
]
_ALL = [
    *(Column(column.title, column.field, show=column.show) for column in _COLUMNS),
    Column("HOLDERS", "holders", show=_holders),
]


def _name(row: output.Row) -> str:
    return str(row["name"])


def _find(connection: Connection, name: str) -> dict[str, Any]:
    from penstock.client import concurrency_limits

    try:
        return connection.row(concurrency_limits.read_global_concurrency_limit_by_name(name))
    except NotFound:
        known = [row["name"] for row in connection.rows(concurrency_limits.read_global_concurrency_limits(200))]
        sentence = f"There is no concurrency limit {name!r}"
        raise references.unknown("global-concurrency-limit", name, known, sentence) from None


def _change(connection: Connection, name: str, **values: Any) -> dict[str, Any]:
    from penstock.client import concurrency_limits
    from penstock.model.concurrency_limits import GlobalConcurrencyLimitUpdate

    row = _find(connection, name)
    change = GlobalConcurrencyLimitUpdate(**values)
    connection.send(concurrency_limits.update_global_concurrency_limit(name, change))
    return {**row, **values}


@group("global-concurrency-limit")
def command() -> None:
    """Manage limits that have a name."""


@command.command("create")
@click.argument("name")
@click.option("-l", "--limit", type=click.IntRange(min=0), required=True, help="How many slots there are.")
@click.option("--disable", is_flag=True, help="Create it inactive: it holds nobody up.")
@click.option("--active-slots", type=click.IntRange(min=0), default=0, help="How many slots are taken at first.")
@click.option(
    "--slot-decay-per-second",
    type=click.FloatRange(min=0),
    default=0.0,
    help="How many slots that were taken for a rate come free each second.",
)
def create(name: str, limit: int, disable: bool, active_slots: int, slot_decay_per_second: float) -> None:
    """Create a limit."""
    from penstock.client import concurrency_limits
    from penstock.model.concurrency_limits import GlobalConcurrencyLimitCreate

    request = GlobalConcurrencyLimitCreate(
        name=name,
        limit=limit,
        active=not disable,
        active_slots=active_slots,
        slot_decay_per_second=slot_decay_per_second,
    )
    with connect() as connection:
        row = connection.row(concurrency_limits.create_global_concurrency_limit(request))
    output.done(current(), f"Created the concurrency limit {name!r} with {limit} slots.", row, _COLUMNS, _name)


@command.command("ls")
def ls() -> None:
    """List the limits that have a name."""
    from penstock.client import concurrency_limits

    with connect() as connection:
        rows = connection.rows(concurrency_limits.read_global_concurrency_limits(200))
    output.emit(current(), rows, _COLUMNS, _name)


@command.command("inspect")
@click.argument("name")
@click.option("-f", "--file", "path", metavar="FILE", help="Write it to this file, as JSON.")
def inspect(name: str, path: str | None) -> None:
    """Show a limit and who holds its slots."""
    from penstock.client import concurrency_limits

    with connect() as connection:
        row = _find(connection, name)
        row["holders"] = connection.rows(concurrency_limits.read_slot_holders(row["id"]))
    if path is None:
        output.emit_one(current(), row, _ALL, _name)
        return
    Path(path).write_text(json.dumps(row, indent=2) + "\n")
    output.done(current(), f"Wrote the concurrency limit {name!r} to {path}.", row, _ALL, _name)


@command.command("update")
@click.argument("name")
@click.option("--enable", is_flag=True, help="Make it active.")
@click.option("--disable", is_flag=True, help="Make it inactive: it holds nobody up.")
@click.option("-l", "--limit", type=click.IntRange(min=0), help="How many slots there are.")
@click.option(
    "--active-slots", type=click.IntRange(min=0), help="How many slots are taken from now on; their holders lose them."
)
@click.option(
    "--slot-decay-per-second",
    type=click.FloatRange(min=0),
    help="How many slots that were taken for a rate come free each second.",
)
def update(
    name: str,
    enable: bool,
    disable: bool,
    limit: int | None,
    active_slots: int | None,
    slot_decay_per_second: float | None,
) -> None:
    """Change a limit. What is taken stays taken: with a lower limit nobody else gets a slot until enough are free."""
    if enable and disable:
        raise UsageProblem("Both --enable and --disable were given.")
    given = {
        "active": True if enable else False if disable else None,
        "limit": limit,
        "active_slots": active_slots,
        "slot_decay_per_second": slot_decay_per_second,
    }
    values = {key: value for key, value in given.items() if value is not None}
    if not values:
        raise UsageProblem(
            "Nothing was given to be changed.", hint="See `penstock global-concurrency-limit update --help`."
        )
    with connect() as connection:
        row = _change(connection, name, **values)
    output.done(current(), f"Changed the concurrency limit {name!r}.", row, _COLUMNS, _name)


@command.command("enable")
@click.argument("name")
def enable(name: str) -> None:
    """Make a limit active."""
    with connect() as connection:
        row = _change(connection, name, active=True)
    output.done(current(), f"{name!r} limits again.", row, _COLUMNS, _name)


@command.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Make a limit inactive: it holds nobody up."""
    with connect() as connection:
        row = _change(connection, name, active=False)
    output.done(current(), f"{name!r} holds nobody up.", row, _COLUMNS, _name)


@command.command("delete")
@click.argument("name")
def delete(name: str) -> None:
    """Delete a limit. Whoever waits for its slots goes on."""
    from penstock.client import concurrency_limits

    with connect() as connection:
        row = _find(connection, name)
        connection.send(concurrency_limits.delete_global_concurrency_limit_by_name(name))
    output.done(current(), f"Deleted the concurrency limit {name!r}.", row, _COLUMNS, _name)
