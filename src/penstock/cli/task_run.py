"""`penstock task-run`: the tasks that ran in flow runs."""

import click

from penstock.cli import log_lines, output, references, states, times
from penstock.cli.connection import connect
from penstock.cli.errors import UsageProblem
from penstock.cli.flow_run_logs import SOME, print_lines, selected
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current

_COLUMNS = [
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("STATE", "state_name"),
    Column("STARTED", "start_time", show=times.ago),
    Column("TOOK", "total_run_time", show=times.span_if_any),
    Column("TYPE", "state_type", wide=True),
    Column("FLOW RUN", "flow_run_id", wide=True),
    Column("RUNS", "run_count", wide=True),
    Column("MESSAGE", "state.message", wide=True),
]
_INSPECT = [
    Column("id", "id"),
    Column("name", "name"),
    Column("state", "state_name"),
    Column("message", "state.message"),
    Column("task", "task_key"),
    Column("flow run", "flow_run_id"),
    Column("runs", "run_count"),
    Column("started", "start_time"),
    Column("ended", "end_time"),
    Column("took", "total_run_time", show=times.span),
    Column("inputs", "task_inputs"),
    Column("tags", "tags"),
]


def _name(row: output.Row) -> str:
    return str(row["id"])


@group("task-run")
def command() -> None:
    """List and inspect task runs, and print their logs."""


@command.command("ls")
@click.option("--flow-run", "flow_run", metavar="ID", help="Only task runs of this flow run.")
@click.option(
    "--task-run-name", "names", multiple=True, metavar="NAME", help="Only task runs of this name; repeat it for more."
)
@click.option("--limit", type=click.IntRange(1, 200), default=15, show_default=True, help="Most task runs to show.")
@click.option("--state", "state_names", multiple=True, metavar="NAME", help="Only task runs in this state.")
@click.option(
    "--state-type", "state_types", multiple=True, metavar="TYPE", help="Only task runs in a state of this type."
)
def ls(
    flow_run: str | None, names: tuple[str, ...], limit: int, state_names: tuple[str, ...], state_types: tuple[str, ...]
) -> None:
    """List task runs, the newest first."""
    from penstock.client import task_runs

    wanted: dict[str, object] = {}
    state = states.state_filter(state_names, state_types)
    if state:
        wanted["state"] = state
    if names:
        wanted["name"] = {"any_": list(names)}
    with connect() as connection:
        flow_run_filter = None
        if flow_run is not None:
            flow_run_filter = {"id": {"any_": [references.flow_run(connection, flow_run)["id"]]}}
        rows = connection.rows(
            task_runs.read_task_runs(
                flow_run_filter=flow_run_filter,
                task_run_filter=wanted or None,
                sort="EXPECTED_START_TIME_DESC",
                limit=limit,
            )
        )
    output.emit(current(), rows, _COLUMNS, _name)


@command.command("inspect")
@click.argument("id_", metavar="ID")
def inspect(id_: str) -> None:
    """Show a task run."""
    session = current()
    with connect() as connection:
        row = references.task_run(connection, id_)
    columns = [column for column in _INSPECT if session.output == "wide" or output.field(row, column.field) is not None]
    output.emit_one(session, row, columns, _name)


@command.command("logs")
@click.argument("id_", metavar="ID")
@click.option("-h", "--head", is_flag=True, help=f"Only the first lines: {SOME}, or as many as -n says.")
@click.option("-t", "--tail", is_flag=True, help=f"Only the last lines: {SOME}, or as many as -n says.")
@click.option("-n", "--num-logs", type=click.IntRange(min=1), help="How many lines at most.")
@click.option("-r", "--reverse", is_flag=True, help="The newest line first.")
def logs(id_: str, head: bool, tail: bool, num_logs: int | None, reverse: bool) -> None:
    """Print the log of a task run."""
    if head and tail:
        raise UsageProblem("--head and --tail exclude each other.")
    limit = num_logs or (SOME if head or tail else None)
    with connect() as connection:
        row = references.task_run(connection, id_)
        wanted = log_lines.log_filter(task_run_id=row["id"])
        rows = selected(connection, wanted, limit=limit, tail=tail, reverse=reverse)
    print_lines(current(), rows)
