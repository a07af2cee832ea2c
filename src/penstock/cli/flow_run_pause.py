"""`penstock flow-run pause`, `suspend` and `resume`."""

from typing import Any

import click

from penstock.cli import assignments, output, references, times
from penstock.cli.connection import Connection, connect
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import Conflict

_COLUMNS = [Column("ID", "id"), Column("NAME", "name"), Column("STATE", "state_name")]
_TIMEOUT = click.option(
    "--timeout",
    default="1h",
    show_default=True,
    metavar="TIME",
    help="The run fails if nobody resumes it within this time; 0 for never.",
)


@command("pause")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@_TIMEOUT
def pause(ids: tuple[str, ...], timeout: str) -> None:
    """Pause running flow runs: tasks that run go on, and no new one starts."""
    _pause(ids, timeout, suspend=False)


@command("suspend")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@_TIMEOUT
def suspend(ids: tuple[str, ...], timeout: str) -> None:
    """Suspend running flow runs of deployments: their processes leave before the next task, and others go on."""
    _pause(ids, timeout, suspend=True)


@command("resume")
@click.argument("id_", metavar="ID")
@click.option(
    "-i", "--input", "inputs", multiple=True, metavar="KEY=VALUE", help="One field of the input that the run waits for."
)
@click.option("--input-json", metavar="JSON", help="The input as a JSON object; - reads it from stdin.")
def resume(id_: str, inputs: tuple[str, ...], input_json: str | None) -> None:
    """Let a paused flow run go on, or a suspended one be launched again."""
    from penstock.client import flow_runs
    from penstock.model.states import Answer

    given = {**assignments.json_object(input_json, "--input-json"), **assignments.values(inputs, "--input")}
    with connect() as connection:
        run = references.flow_run(connection, id_)
        answer = connection.send(flow_runs.resume_flow_run(run["id"], given or None))
        if answer.status is not Answer.ACCEPT:
            hint = f"It waits for input:\n{asked}" if (asked := _question(connection, run)) else None
            raise Conflict(f"{run['name']} cannot be resumed: {answer.details.reason}", hint=hint)
        after = connection.row(flow_runs.read_flow_run(run["id"]))
    message = f"{run['name']} is {after['state_name']}. See `penstock flow-run watch {run['id']}`."
    output.done(current(), message, after, _COLUMNS, lambda row: str(row["id"]))


def _pause(ids: tuple[str, ...], timeout: str, *, suspend: bool) -> None:
    from penstock import clock
    from penstock.client import flow_runs
    from penstock.model.states import Answer, StateCreate, StateDetails, StateType

    limit = None if timeout.strip() == "0" else times.parse_duration(timeout)
    session = current()
    with connect() as connection:
        runs = [references.flow_run(connection, reference) for reference in references.expand(ids)]
        for run in runs:
            until = None if limit is None else clock.now() + limit
            details = StateDetails(pause_timeout=until, pause_reschedule=suspend)
            state = StateCreate(type=StateType.PAUSED, state_details=details)
            answer = connection.send(flow_runs.set_flow_run_state(run["id"], state))
            if answer.status is not Answer.ACCEPT:
                done = "suspended" if suspend else "paused"
                raise Conflict(
                    f"{run['name']} cannot be {done}: {answer.details.reason}",
                    hint=f"See `penstock flow-run explain {run['id']}`.",
                )
            after = connection.row(flow_runs.read_flow_run(run["id"]))
            message = f"{run['name']} is {after['state_name']}. Resume it: penstock flow-run resume {run['id']}"
            output.done(session, message, after, _COLUMNS, lambda row: str(row["id"]))


def _question(connection: Connection, run: dict[str, Any]) -> str:
    """What the run waits for, a line for each field; empty if it waits for nothing."""
    import json

    from penstock.client import flow_run_inputs
    from penstock.errors import NotFound

    keyset = ((run.get("state") or {}).get("state_details") or {}).get("run_input_keyset") or {}
    try:
        schema = json.loads(connection.send(flow_run_inputs.read_flow_run_input(run["id"], keyset["schema"])))
    except (NotFound, KeyError, ValueError):
        return ""
    required = schema.get("required", ())
    return "\n".join(
        f"  --input {name}={_kind(field)}" + ("" if name in required else "  (has a default)")
        for name, field in schema.get("properties", {}).items()
    )


def _kind(field: dict[str, Any]) -> str:
    kind = field.get("type") or "VALUE"
    return str(kind).upper()
