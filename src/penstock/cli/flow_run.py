"""`penstock flow-run`: what ran, runs and will run."""

import os
from datetime import datetime
from typing import Any

import click

from penstock import clock
from penstock.cli import output, processes, references, states, times
from penstock.cli.connection import Connection, connect
from penstock.cli.flow_run_attempts import attempt_lines, attempt_rows, show_attempts
from penstock.cli.flow_run_cancel import cancel
from penstock.cli.flow_run_logs import logs
from penstock.cli.flow_run_pause import pause, resume, suspend
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.cli.watch import watch_run

COLUMNS = [
    Column("ID", "id"),
    Column("FLOW", "flow_name"),
    Column("NAME", "name"),
    Column("STATE", "state_name"),
    Column("WHEN", "expected_start_time", show=times.ago),
    Column("TOOK", "total_run_time", show=times.span_if_any),
    Column("TYPE", "state_type", wide=True),
    Column("QUEUE", "work_queue_name", wide=True),
    Column("ATTEMPTS", "attempt_count", wide=True),
    Column("TAGS", "tags", wide=True),
    Column("MESSAGE", "state.message", wide=True),
]


def name_of(row: output.Row) -> str:
    """The reference of a run that other commands accept: its id."""
    return str(row["id"])


@group("flow-run")
def command() -> None:
    """List, inspect, follow, pause, cancel and delete flow runs."""


command.add_command(logs)
command.add_command(cancel)
command.add_command(pause)
command.add_command(suspend)
command.add_command(resume)


@command.command("ls")
@click.option(
    "--flow-name", "flow_names", multiple=True, metavar="NAME", help="Only runs of this flow; repeat it for more."
)
@click.option("--limit", type=click.IntRange(1, 200), default=15, show_default=True, help="Most runs to show.")
@click.option("--state", "state_names", multiple=True, metavar="NAME", help="Only runs in this state, e.g. Late.")
@click.option(
    "--state-type", "state_types", multiple=True, metavar="TYPE", help="Only runs in a state of this type, e.g. FAILED."
)
@click.option("--due", is_flag=True, help="Only runs whose time has come, without those that are planned for later.")
def ls(
    flow_names: tuple[str, ...], limit: int, state_names: tuple[str, ...], state_types: tuple[str, ...], due: bool
) -> None:
    """List flow runs, the newest first."""
    from penstock.client import flow_runs

    session = current()
    wanted: dict[str, Any] = {}
    if state := states.state_filter(state_names, state_types):
        wanted["state"] = state
    now = clock.now()
    if due:
        wanted["expected_start_time"] = {"before_": now.isoformat()}
    with connect() as connection:
        rows = connection.rows(
            flow_runs.read_flow_runs(
                flow_filter={"name": {"any_": list(flow_names)}} if flow_names else None,
                flow_run_filter=wanted or None,
                sort="EXPECTED_START_TIME_DESC",
                limit=limit,
            )
        )
        rows = references.with_flow_names(connection, rows)
    output.emit(session, rows, COLUMNS, name_of)
    if len(rows) == limit and not wanted and all(_is_later(row, now) for row in rows):
        session.say("All of these are planned for later; those before them: penstock flow-run ls --due")


def _is_later(row: output.Row, now: datetime) -> bool:
    due = row["expected_start_time"]
    return due is not None and datetime.fromisoformat(due) > now


_INSPECT = [
    Column("id", "id"),
    Column("name", "name"),
    Column("flow", "flow_name"),
    Column("state", "state_name"),
    Column("message", "state.message"),
    Column("reason", "state.state_details.reason"),
    Column("hint", "state.state_details.hint"),
    Column("parameters", "parameters"),
    Column("queue", "work_queue_name"),
    Column("due", "expected_start_time"),
    Column("started", "start_time"),
    Column("ended", "end_time"),
    Column("took", "total_run_time", show=times.span),
    Column("tags", "tags"),
    Column("infrastructure", "infrastructure_pid"),
]


@command.command("inspect")
@click.argument("id_", metavar="ID")
def inspect(id_: str) -> None:
    """Show a flow run with its attempts: where each was, why it ended, what the platform said, its last output."""
    session = current()
    with connect() as connection:
        row = references.flow_run(connection, id_)
        row = references.with_flow_names(connection, [row])[0]
        row["attempts"] = attempt_rows(connection, row["id"])
    columns = [column for column in _INSPECT if session.output == "wide" or output.field(row, column.field) is not None]
    output.emit_one(session, row, columns, name_of)
    if session.format in {"table", "wide"} and not session.fields:
        for attempt in row["attempts"]:
            output.write("\n" + "\n".join(attempt_lines(attempt)) + "\n")


@command.command("attempts")
@click.argument("id_", metavar="ID")
def attempts(id_: str) -> None:
    """List the attempts of a flow run: each launch on infrastructure."""
    with connect() as connection:
        row = references.flow_run(connection, id_)
        rows = attempt_rows(connection, row["id"])
    show_attempts(current(), rows)


@command.command("explain")
@click.argument("id_", metavar="ID")
def explain(id_: str) -> None:
    """Say in one sentence why a flow run is where it is."""
    with connect() as connection:
        from penstock.client import flow_runs

        row = references.flow_run(connection, id_)
        answer: dict[str, Any] = connection.row(flow_runs.explain_flow_run(row["id"]))
    session = current()
    if session.output is None and not session.fields:
        output.write(f"{answer['explanation']}\n")
    else:
        columns = [Column("RUN", "flow_run_id"), Column("STATE", "state"), Column("EXPLANATION", "explanation")]
        output.emit_one(session, answer, columns, lambda found: str(found["flow_run_id"]))


@command.command("watch")
@click.argument("id_", metavar="ID")
@click.option("--timeout", metavar="TIME", help="Stop watching after this time, e.g. 10m, with exit code 8.")
def watch(id_: str, timeout: str | None) -> int:
    """Follow a flow run to its end; the exit code tells how it ended."""
    limit = times.parse_duration(timeout).total_seconds() if timeout else None
    with connect() as connection:
        row = references.flow_run(connection, id_)
        return watch_run(connection, current(), row, timeout=limit)


@command.command("delete")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
def delete(ids: tuple[str, ...]) -> None:
    """Delete flow runs with their states, task runs and logs."""
    session = current()
    with connect() as connection:
        rows = [references.flow_run(connection, reference) for reference in references.expand(ids)]
        for row in rows:
            _delete(connection, row)
            output.done(session, f"Deleted the flow run {row['name']!r} ({row['id']}).", row, COLUMNS, name_of)


def _delete(connection: Connection, row: dict[str, Any]) -> None:
    from penstock.client import flow_runs

    connection.send(flow_runs.delete_flow_run(row["id"]))


@command.command("execute", data=False)
@click.argument("id_", metavar="ID", required=False)
def execute(id_: str | None) -> None:
    """Execute a flow run here, in this process, as a job on infrastructure would.

    Without ID, the run of the environment: PENSTOCK__FLOW_RUN_ID.
    """
    environ = dict(os.environ)
    with connect() as connection:
        if id_ is not None:
            environ["PENSTOCK__FLOW_RUN_ID"] = str(references.flow_run(connection, id_)["id"])
        environ["PENSTOCK_API_URL"] = connection.api_url
    processes.become("penstock.engine", [], environ)
