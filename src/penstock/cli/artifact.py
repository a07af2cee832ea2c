"""`penstock artifact`: what runs have left for people to look at."""

from typing import Any

import click

from penstock.cli import output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current

_COLUMNS = [
    Column("KEY", "key"),
    Column("TYPE", "type"),
    Column("UPDATED", "updated", show=times.ago),
    Column("DESCRIPTION", "description"),
    Column("ID", "id"),
    Column("RUN", "flow_run_id", wide=True),
]
_VERSION_COLUMNS = [
    Column("CREATED", "created"),
    Column("TYPE", "type"),
    Column("DESCRIPTION", "description"),
    Column("DATA", "data"),
    Column("ID", "id"),
    Column("RUN", "flow_run_id", wide=True),
]

#: Objects that one answer of the API lists.
_PAGE = 200


def _id(row: output.Row) -> str:
    return str(row["id"])


def _versions(connection: Connection, reference: str, limit: int | None = None) -> list[dict[str, Any]]:
    """The artifacts with that key, or that id, newest first. Raises NotFound with the nearest key."""
    from penstock.client import artifacts

    identifier = references.as_uuid(reference)
    if identifier is not None:
        return [connection.row(artifacts.read_artifact(identifier))]
    wanted = {"key": {"any_": [reference]}}
    found: list[dict[str, Any]] = []
    while limit is None or len(found) < limit:
        call = artifacts.read_artifacts(
            artifact_filter=wanted, sort="CREATED_DESC", limit=limit or _PAGE, offset=len(found)
        )
        page = connection.rows(call)
        found += page
        if len(page) < _PAGE:
            break
    if not found:
        known = [row["key"] for row in connection.rows(artifacts.read_latest_artifacts(limit=_PAGE))]
        raise references.unknown("artifact", reference, known)
    return found


@group("artifact")
def command() -> None:
    """List, inspect and delete artifacts of runs."""


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, 200), default=100, show_default=True, help="Most artifacts to show.")
@click.option("-a", "--all", "all_", is_flag=True, help="Every version, and artifacts without a key; newest first.")
def ls(limit: int, all_: bool) -> None:
    """List the newest artifact of each key."""
    from penstock.client import artifacts

    with connect() as connection:
        if all_:
            rows = connection.rows(artifacts.read_artifacts(sort="CREATED_DESC", limit=limit))
        else:
            listed = connection.rows(artifacts.read_latest_artifacts(sort="KEY_ASC", limit=limit))
            rows = [{**row, "id": row["latest_id"]} for row in listed]
    output.emit(current(), rows, _COLUMNS, _id)


@command.command("inspect")
@click.argument("key")
@click.option("--limit", type=click.IntRange(1, 200), default=10, show_default=True, help="Most versions to show.")
def inspect(key: str, limit: int) -> None:
    """Show the versions of an artifact, newest first. KEY may be an id."""
    with connect() as connection:
        rows = _versions(connection, key, limit)
    output.emit(current(), rows, _VERSION_COLUMNS, _id)


@command.command("delete")
@click.argument("key", required=False)
@click.option("--id", "id_", metavar="UUID", help="Id of one version, instead of KEY.")
def delete(key: str | None, id_: str | None) -> None:
    """Delete all versions of an artifact, or one."""
    from penstock.client import artifacts

    if (key is None) == (id_ is None):
        raise UsageProblem("Name one artifact: by KEY or by --id.", hint="See `penstock artifact ls`.")
    if id_ is not None and references.as_uuid(id_) is None:
        raise UsageProblem(f"{id_!r} is no id.", hint="An id is a UUID of 32 hexadecimal digits.")
    session = current()
    with connect() as connection:
        for row in _versions(connection, str(key or id_)):
            connection.send(artifacts.delete_artifact(row["id"]))
            title = f"{row['key']!r} ({row['id']})" if row["key"] else row["id"]
            output.done(session, f"Deleted the artifact {title}.", row, _COLUMNS, _id)
