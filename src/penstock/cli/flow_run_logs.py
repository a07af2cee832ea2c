"""`penstock flow-run logs`: the lines of a run, whole or in part, once or for as long as it runs."""

import json
import sys
import time
from typing import Any

import click

from penstock import clock
from penstock.cli import log_lines, output, references, states, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.session import Session, current
from penstock.errors import did_you_mean

_COLUMNS = [
    Column("TIME", "timestamp"),
    Column("LEVEL", "level"),
    Column("LOGGER", "name"),
    Column("MESSAGE", "message"),
    Column("TASK RUN", "task_run_id", wide=True),
]
#: Lines of --head and --tail when -n says nothing else.
SOME = 20


@command("logs")
@click.argument("id_", metavar="ID")
@click.option("-h", "--head", is_flag=True, help=f"Only the first lines: {SOME}, or as many as -n says.")
@click.option("-t", "--tail", is_flag=True, help=f"Only the last lines: {SOME}, or as many as -n says.")
@click.option("-n", "--num-logs", type=click.IntRange(min=1), help="How many lines at most.")
@click.option("-r", "--reverse", is_flag=True, help="The newest line first.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until the run is over.")
@click.option("--level", metavar="LEVEL", help="Only lines of this level or a higher one, e.g. WARNING.")
@click.option("--since", metavar="TIME", help="Only lines of this last stretch of time, e.g. 10m.")
def logs(
    id_: str,
    head: bool,
    tail: bool,
    num_logs: int | None,
    reverse: bool,
    follow: bool,
    level: str | None,
    since: str | None,
) -> None:
    """Print the log of a flow run."""
    if head and tail:
        raise UsageProblem("--head and --tail exclude each other.")
    if follow and (head or reverse):
        raise UsageProblem("--follow goes on with the newest lines; it cannot be joined with --head or --reverse.")
    threshold = _level(level)
    after = clock.now() - times.parse_duration(since) if since else None
    session = current()
    with connect() as connection:
        run = references.flow_run(connection, id_)
        wanted = log_lines.log_filter(run["id"], level=threshold, after=after)
        limit = num_logs or (SOME if head or tail else None)
        rows = selected(connection, wanted, limit=limit, tail=tail, reverse=reverse)
        print_lines(session, rows)
        if follow:
            tailing = log_lines.Tail(connection, run["id"], level=threshold, after=after)
            tailing.skip(rows)
            if limit is not None:
                tailing.new()  # what was left out on purpose does not come afterwards
            _follow(session, connection, run, tailing)


def selected(
    connection: Connection, wanted: dict[str, Any], *, limit: int | None, tail: bool, reverse: bool
) -> list[dict[str, Any]]:
    """The lines that fit `wanted`: at most `limit`, of their end with `tail`, the newest first with `reverse`."""
    # The last lines are the first ones of the reverse order.
    backwards = tail or reverse
    rows = list(log_lines.pages(connection, wanted, newest_first=backwards, limit=limit))
    return rows[::-1] if backwards and not reverse else rows


def _level(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isdigit():
        return int(text)
    found = log_lines.LEVELS.get(text.upper())
    if found is None:
        raise UsageProblem(
            f"There is no level {text!r}.{did_you_mean(text.upper(), log_lines.LEVELS)}",
            hint=f"A number, or one of: {', '.join(log_lines.LEVELS)}.",
        )
    return found


def print_lines(session: Session, rows: list[dict[str, Any]]) -> None:
    """Print log entries as lines, or in the form that was asked for."""
    if session.output is None and not session.fields:
        for row in rows:
            output.write(log_lines.line(session, row) + "\n")
    else:
        output.emit(session, rows, _COLUMNS, lambda row: str(row["id"]))


def _follow(session: Session, connection: Connection, run: dict[str, Any], tailing: log_lines.Tail) -> None:
    from penstock.client import flow_runs

    over = False
    while True:
        for row in tailing.new():
            text = log_lines.line(session, row) if session.output is None else json.dumps(row, default=str)
            output.write(text + "\n")
        sys.stdout.flush()
        if over:
            return
        # One more look after the end: the last lines may arrive with the last state.
        over = connection.row(flow_runs.read_flow_run(run["id"]))["state_type"] in states.FINAL
        if not over:
            time.sleep(0.5)
