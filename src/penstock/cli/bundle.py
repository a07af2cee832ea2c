"""`penstock bundle`: the code of deployments that the server keeps."""

import re
from typing import Any

import click

from penstock.cli import output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import Conflict

_PREFIX = re.compile(r"(sha256:)?[0-9a-f]{4,64}")
#: Digits of a digest that a table shows.
_SHOWN = len("sha256:") + 12
#: How many bundles an error names.
_NAMED = 5


def _short(digest: Any) -> str:
    return str(digest)[:_SHOWN]


def _size(value: Any) -> str:
    """Bytes with a unit."""
    from penstock.storage.transfers import size_text

    return size_text(int(value))


def _users(value: Any) -> str:
    return ", ".join(f"{user['flow_name']}/{user['name']}" for user in value or ())


_COLUMNS = [
    Column("DIGEST", "digest", show=_short),
    Column("PROJECT", "project"),
    Column("FILES", "files"),
    Column("SIZE", "size", show=_size),
    Column("KEPT", "archive_size", wide=True, show=_size),
    Column("LAST USED", "last_used", show=times.ago),
    Column("CREATED", "created", show=times.ago),
]
_DETAILS = [
    Column("DIGEST", "digest"),
    *(Column(column.title, column.field, show=column.show) for column in _COLUMNS[1:]),
    Column("DEPLOYMENTS", "deployments", show=_users),
]


def _name(row: output.Row) -> str:
    return str(row["digest"])


def _find(connection: Connection, reference: str) -> dict[str, Any]:
    """The bundle that a digest, or its first characters, name. Raises NotFound, Conflict if it is not the only one."""
    from penstock.client import bundles

    if not _PREFIX.fullmatch(reference.lower()):
        raise UsageProblem(
            f"{reference!r} is no digest of a bundle.",
            hint="Give four of its digits or more, with or without sha256: in front.",
        )
    found = connection.rows(bundles.read_bundles(digest_prefix=reference.lower(), limit=_NAMED + 1))
    if not found:
        known = [str(row["digest"]) for row in connection.rows(bundles.read_bundles(limit=200))]
        raise references.unknown("bundle", reference, known)
    if len(found) > 1:
        named = ", ".join(_short(row["digest"]) for row in found[:_NAMED])
        raise Conflict(f"More than one bundle begins with {reference!r}: {named}.", hint="Give more digits.")
    return found[0]


@group("bundle")
def command() -> None:
    """List, inspect and delete the code that deployments brought along."""


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, 200), default=100, show_default=True, help="Most bundles to show.")
def ls(limit: int) -> None:
    """List bundles, newest first."""
    from penstock.client import bundles

    with connect() as connection:
        rows = connection.rows(bundles.read_bundles(limit=limit))
    output.emit(current(), rows, _COLUMNS, _name)


@command.command("inspect")
@click.argument("digest")
def inspect(digest: str) -> None:
    """Show a bundle, and the deployments that use it."""
    from penstock.client import bundles

    with connect() as connection:
        row = connection.row(bundles.read_bundle(_find(connection, digest)["digest"]))
    output.emit_one(current(), row, _DETAILS, _name)


@command.command("delete")
@click.argument("digest")
def delete(digest: str) -> None:
    """Delete a bundle that no deployment and no run uses."""
    from penstock.client import bundles

    with connect() as connection:
        row = _find(connection, digest)
        connection.send(bundles.delete_bundle(row["digest"]))
    output.done(current(), f"Deleted the bundle {_short(row['digest'])}.", row, _COLUMNS, _name)
