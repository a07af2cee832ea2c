"""`penstock concurrency-limit … --flow-runs`: how many flow runs with a tag may be live at once."""

from typing import Any

from penstock.cli import output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.live_runs import LIVE_RUNS, add_live_runs
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import NotFound

_COLUMNS = [
    Column("TAG", "tag"),
    Column("LIMIT", "concurrency_limit"),
    Column("TAKEN", "taken"),
    Column("UPDATED", "updated", show=times.ago),
    Column("CREATED", "created", wide=True, show=times.ago),
    Column("ID", "id", wide=True),
]


def _tag(row: output.Row) -> str:
    return str(row["tag"])


def _find(connection: Connection, tag: str) -> dict[str, Any]:
    from penstock.client import flow_run_limits

    try:
        return connection.row(flow_run_limits.read_flow_run_tag_limit(tag))
    except NotFound:
        known = [row["tag"] for row in connection.rows(flow_run_limits.read_flow_run_tag_limits(200))]
        sentence = f"How many flow runs with the tag {tag!r} are live is not limited"
        raise references.unknown("concurrency-limit", tag, known, sentence) from None


def create(tag: str, concurrency_limit: int) -> None:
    """Limit the tag, or change its limit."""
    from penstock.client import flow_run_limits

    with connect() as connection:
        row = connection.row(flow_run_limits.create_flow_run_tag_limit(tag, concurrency_limit))
    message = f"At most {concurrency_limit} flow runs with the tag {tag!r} may be live at once."
    output.done(current(), message, row, _COLUMNS, _tag)


def ls(limit: int, offset: int) -> None:
    """List the limits, the newest first."""
    from penstock.client import flow_run_limits

    with connect() as connection:
        rows = connection.rows(flow_run_limits.read_flow_run_tag_limits(limit, offset))
    output.emit(current(), rows, _COLUMNS, _tag)


def inspect(tag: str) -> None:
    """Show the limit and the runs that take its slots."""
    from penstock.client import flow_run_limits

    with connect() as connection:
        row = _find(connection, tag)
        add_live_runs(connection, row, flow_run_limits.read_slots_of_flow_run_tag(tag))
    columns = [Column(column.title, column.field, show=column.show) for column in _COLUMNS if column.field != "taken"]
    output.emit_one(current(), row, [*columns, *LIVE_RUNS], _tag)


def delete(tag: str) -> None:
    """Remove the limit."""
    from penstock.client import flow_run_limits

    with connect() as connection:
        row = _find(connection, tag)
        connection.send(flow_run_limits.delete_flow_run_tag_limit(tag))
    output.done(current(), f"How many flow runs with the tag {tag!r} are live is not limited.", row, _COLUMNS, _tag)
