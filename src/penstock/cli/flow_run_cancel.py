"""`penstock flow-run cancel`: stop a run and, with --wait, see that nothing of it is left."""

import time
from typing import Any

import click

from penstock.cli import output, references, states, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import TimedOut
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.session import Session, current
from penstock.errors import Conflict

_COLUMNS = [Column("ID", "id"), Column("NAME", "name"), Column("STATE", "state_name")]


@command("cancel")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--wait", is_flag=True, help="Wait until nothing of the run is left on its infrastructure.")
@click.option(
    "--timeout", default="5m", show_default=True, metavar="TIME", help="How long --wait waits before exit code 8."
)
def cancel(ids: tuple[str, ...], wait: bool, timeout: str) -> None:
    """Cancel flow runs."""
    limit = times.parse_duration(timeout).total_seconds()
    session = current()
    with connect() as connection:
        runs = [references.flow_run(connection, reference) for reference in references.expand(ids)]
        for run in runs:
            state = ask(connection, run)
            after = connection.row(_read(run)) if not wait else _wait(connection, session, run, limit)
            state = str(after["state_name"])
            more = "" if state == "Cancelled" else f" See `penstock flow-run watch {run['id']}`."
            output.done(session, f"{run['name']} is {state}.{more}", after, _COLUMNS, lambda row: str(row["id"]))


def _read(run: dict[str, Any]) -> Any:
    from penstock.client import flow_runs

    return flow_runs.read_flow_run(run["id"])


def ask(connection: Connection, run: dict[str, Any]) -> str:
    """Propose Cancelling; the server makes Cancelled of it when there is nothing to stop. Returns the state's name."""
    from penstock.client import flow_runs
    from penstock.model.states import Answer, StateCreate, StateType

    if run["state_type"] in states.FINAL:
        raise Conflict(
            f"{run['name']} cannot be cancelled: it is {run['state_name']} already.",
            hint=f"See `penstock flow-run inspect {run['id']}`.",
        )
    result = connection.send(
        flow_runs.set_flow_run_state(run["id"], StateCreate(type=StateType.CANCELLING, message="Cancelled by the CLI"))
    )
    name = result.state.name if result.state else None
    if result.status is Answer.ABORT and name not in {"Cancelling", "Cancelled"}:
        raise Conflict(f"{run['name']} cannot be cancelled: {result.details.reason}")
    return name or ""


def _wait(connection: Connection, session: Session, run: dict[str, Any], limit: float) -> dict[str, Any]:
    deadline = time.monotonic() + limit
    while True:
        found = connection.row(_read(run))
        if found["state_type"] in states.FINAL:
            return found
        if time.monotonic() > deadline:
            raise TimedOut(
                f"{run['name']} is still {found['state_name']} after {times.span(limit)}.",
                hint=f"See `penstock flow-run explain {run['id']}`.",
            )
        time.sleep(0.25)
