"""`penstock concurrency-limit`: how many task runs with a tag may run at once; or, with --flow-runs, flow runs."""

from typing import Any

import click

from penstock.cli import flow_run_tag_limits, output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import NotFound

_COLUMNS = [
    Column("TAG", "tag"),
    Column("LIMIT", "concurrency_limit"),
    Column("TAKEN", "active_slots", show=lambda holders: str(len(holders or ()))),
    Column("UPDATED", "updated", show=times.ago),
    Column("CREATED", "created", wide=True, show=times.ago),
    Column("ID", "id", wide=True),
]
_ALL = [
    *(Column(column.title, column.field, show=column.show) for column in _COLUMNS),
    Column("TASK RUNS", "active_slots"),
]


_FLOW_RUNS = click.option(
    "--flow-runs", is_flag=True, help="The limit on flow runs with the tag that are live, not on task runs."
)


def _tag(row: output.Row) -> str:
    return str(row["tag"])


def _find(connection: Connection, tag: str) -> dict[str, Any]:
    from penstock.client import concurrency_limits

    try:
        return connection.row(concurrency_limits.read_concurrency_limit_by_tag(tag))
    except NotFound:
        known = connection.send(concurrency_limits.read_limited_tags())
        sentence = f"The tag {tag!r} has no concurrency limit"
        raise references.unknown("concurrency-limit", tag, known, sentence) from None


@group("concurrency-limit")
def command() -> None:
    """Limit how many task runs with a tag run at once."""


@command.command("create")
@click.argument("tag")
@click.argument("concurrency_limit", type=click.IntRange(min=0))
@_FLOW_RUNS
def create(tag: str, concurrency_limit: int, flow_runs: bool) -> None:
    """Limit a tag, or change its limit. With a limit of 0 no task run with the tag starts."""
    from penstock.client import concurrency_limits

    if flow_runs:
        flow_run_tag_limits.create(tag, concurrency_limit)
        return
    with connect() as connection:
        row = connection.row(concurrency_limits.create_concurrency_limit(tag, concurrency_limit))
    message = f"At most {concurrency_limit} task runs with the tag {tag!r} run at once."
    output.done(current(), message, row, _COLUMNS, _tag)


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, 200), default=15, show_default=True, help="Most limits to show.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="How many of the newest to leave out.")
@_FLOW_RUNS
def ls(limit: int, offset: int, flow_runs: bool) -> None:
    """List the limits of tags, the newest first."""
    from penstock.client import concurrency_limits

    if flow_runs:
        flow_run_tag_limits.ls(limit, offset)
        return
    with connect() as connection:
        rows = connection.rows(concurrency_limits.read_concurrency_limits(limit, offset))
    output.emit(current(), rows, _COLUMNS, _tag)


@command.command("inspect")
@click.argument("tag")
@_FLOW_RUNS
def inspect(tag: str, flow_runs: bool) -> None:
    """Show a tag's limit and the task runs that hold its slots; also called `read`."""
    if flow_runs:
        flow_run_tag_limits.inspect(tag)
        return
    with connect() as connection:
        row = _find(connection, tag)
    output.emit_one(current(), row, _ALL, _tag)


@command.command("reset")
@click.argument("tag")
def reset(tag: str) -> None:
    """Free all slots of a tag's limit. Task runs that hold one go on."""
    from penstock.client import concurrency_limits

    with connect() as connection:
        row = _find(connection, tag)
        connection.send(concurrency_limits.reset_concurrency_limit_by_tag(tag))
    output.done(current(), f"All slots of the tag {tag!r} are free.", {**row, "active_slots": []}, _COLUMNS, _tag)


@command.command("delete")
@click.argument("tag")
@_FLOW_RUNS
def delete(tag: str, flow_runs: bool) -> None:
    """Remove a tag's limit. Task runs that wait for a slot start."""
    from penstock.client import concurrency_limits

    if flow_runs:
        flow_run_tag_limits.delete(tag)
        return
    with connect() as connection:
        row = _find(connection, tag)
        connection.send(concurrency_limits.delete_concurrency_limit_by_tag(tag))
    output.done(current(), f"The tag {tag!r} is not limited any more.", row, _COLUMNS, _tag)


command.aliases["read"] = "inspect"
