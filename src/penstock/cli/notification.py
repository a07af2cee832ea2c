"""`penstock notification`: which states of which runs are told to whom, and what became of the messages."""

import time
from pathlib import Path
from typing import Any

import click

from penstock.cli import output, references, times
from penstock.cli.block_answers import document_of, with_reference
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import CheckFailed, TimedOut, UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import Conflict, NotFound, PenstockError

#: What a policy tells of unless it is said otherwise: that something went wrong.
DEFAULT_STATES = ("Failed", "TimedOut", "Crashed")
#: Seconds between two looks at a test that is under way.
_LOOK = 0.2
#: Policies that one answer of the API lists.
_PAGE = 200


def _or_all(texts: Any) -> str:
    return ", ".join(texts) if texts else "all"


_COLUMNS = [
    Column("ID", "id"),
    Column("ACTIVE", "is_active"),
    Column("STATES", "state_names", show=_or_all),
    Column("TAGS", "tags", show=_or_all),
    Column("BLOCK", "block"),
    Column("TEMPLATE", "message_template", wide=True),
    Column("UPDATED", "updated", show=times.ago, wide=True),
]
_DELIVERY_COLUMNS = [
    Column("CREATED", "created", show=times.ago),
    Column("RUN", "flow_run_name", show=lambda name: str(name or "(a test)")),
    Column("STATE", "state_name"),
    Column("MORE", "gathered", show=lambda count: f"+{count}" if count else ""),
    Column("STATUS", "status"),
    Column("TRIES", "tries"),
    Column("NEXT TRY", "next_try", show=times.ago),
    Column("ERROR", "error"),
]


def _id(row: output.Row) -> str:
    return str(row["id"])


@group("notification")
def command() -> None:
    """Have states of runs told by chat, mail or webhook."""


@command.command("create")
@click.argument("block", metavar="TYPE/NAME")
@click.option(
    "-s",
    "--state",
    "states",
    multiple=True,
    metavar="NAME",
    help=f"State to tell of; may be repeated.  [default: {', '.join(DEFAULT_STATES)}]",
)
@click.option("--any-state", is_flag=True, help="Tell of every state.")
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="Only runs with one of these; may be repeated.")
@click.option("--template", metavar="TEXT", help="What a message says, e.g. '{flow_run_name}: {reason}'.")
@click.option("--template-file", type=click.Path(exists=True, dir_okay=False), help="File with the template.")
@click.option("--paused", is_flag=True, help="Create it paused.")
def create(
    block: str,
    states: tuple[str, ...],
    any_state: bool,
    tags: tuple[str, ...],
    template: str | None,
    template_file: str | None,
    paused: bool,
) -> None:
    """Tell states of runs through a block that notifies, e.g. slack-webhook/ops."""
    from penstock.client import notification_policies

    if states and any_state:
        raise UsageProblem("--state and --any-state exclude each other.")
    names = [] if any_state else list(states or DEFAULT_STATES)
    text = _template(template, template_file)
    with connect() as connection:
        document = document_of(connection, block)
        asked = _policy(names, list(tags), document["id"], text, not paused)
        row = connection.row(notification_policies.create_flow_run_notification_policy(asked))
    row["block"] = document["reference"]
    message = f"Created the notification policy {row['id']}. Try it: `penstock notification test {row['id'][:8]}`."
    output.done(current(), message, row, _COLUMNS, _id)


def _template(text: str | None, file: str | None) -> str | None:
    if text is not None and file is not None:
        raise UsageProblem("--template and --template-file exclude each other.")
    return Path(file).read_text() if file is not None else text


def _policy(states: list[str], tags: list[str], block_id: str, template: str | None, active: bool) -> Any:
    """The request, checked here already. Raises UsageProblem."""
    from pydantic import ValidationError

    from penstock.model.notifications import FlowRunNotificationPolicyCreate

    try:
        return FlowRunNotificationPolicyCreate(
            state_names=states, tags=tags, block_document_id=block_id, message_template=template, is_active=active
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = {"message_template": "--template", "state_names": "--state", "tags": "--tag"}[str(first["loc"][0])]
        raise UsageProblem(
            f"{option}: {str(first['msg']).removeprefix('Value error, ')}",
            hint="See `penstock notification create -h`.",
        ) from None


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, _PAGE), default=_PAGE, show_default=True, help="Most policies to show.")
def ls(limit: int) -> None:
    """List notification policies."""
    from penstock.client import notification_policies

    with connect() as connection:
        call = notification_policies.read_flow_run_notification_policies(limit=limit)
        rows = _with_blocks(connection, connection.rows(call))
    output.emit(current(), rows, _COLUMNS, _id)


@command.command("inspect")
@click.argument("id_", metavar="ID")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 200), default=10, show_default=True, help="Most messages to show."
)
def inspect(id_: str, limit: int) -> None:
    """Show a notification policy and what became of its last messages."""
    from penstock.client import notification_policies

    with connect() as connection:
        row = _find(connection, id_)
        row["deliveries"] = connection.rows(notification_policies.read_notification_deliveries(row["id"], limit))
    session = current()
    output.emit_one(session, row, [Column(column.title, column.field, show=column.show) for column in _COLUMNS], _id)
    if session.format in ("table", "wide") and not session.fields:
        session.say("\nIts last messages:" if row["deliveries"] else "\nIt has not told anything yet.")
        if row["deliveries"]:
            output.emit(session, row["deliveries"], _DELIVERY_COLUMNS, _id)


@command.command("pause")
@click.argument("id_", metavar="ID")
def pause(id_: str) -> None:
    """Tell nothing any more, what waits to be sent included, until the policy is resumed."""
    _set_active(id_, active=False)


@command.command("resume")
@click.argument("id_", metavar="ID")
def resume(id_: str) -> None:
    """Let a paused policy tell again."""
    _set_active(id_, active=True)


def _set_active(reference: str, *, active: bool) -> None:
    from penstock.client import notification_policies
    from penstock.model.notifications import FlowRunNotificationPolicyUpdate

    with connect() as connection:
        row = _find(connection, reference)
        change = FlowRunNotificationPolicyUpdate(is_active=active)
        connection.send(notification_policies.update_flow_run_notification_policy(row["id"], change))
    done = "Resumed" if active else "Paused"
    output.done(current(), f"{done} the notification policy {row['id']}.", {**row, "is_active": active}, _COLUMNS, _id)


@command.command("test")
@click.argument("id_", metavar="ID")
@click.option("--dry-run", is_flag=True, help="Print the message, and send nothing.")
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds to wait.")
def test(id_: str, dry_run: bool, timeout: float) -> None:
    """Send a message with made-up values now, and say what came of it."""
    from penstock.client import notification_policies

    with connect() as connection:
        policy = _find(connection, id_)
        sample = connection.row(notification_policies.send_test_notification(policy["id"], dry_run=dry_run))
        if dry_run:
            _show(sample)
            return
        delivery = _await_delivery(connection, policy["id"], str(sample["delivery_id"]), timeout)
    if delivery["status"] != "Sent":
        raise CheckFailed(
            f"The message was not delivered: {delivery['error']}",
            hint=f"Look at the block: penstock block inspect {policy['block']}",
        )
    output.done(current(), f"The message was delivered through {policy['block']}.", delivery, _DELIVERY_COLUMNS, _id)


def _show(sample: dict[str, Any]) -> None:
    """The message as people get it; to machines as they want it."""
    session = current()
    if session.output is None and not session.fields:
        output.write(f"{sample['subject']}\n\n{sample['body']}\n")
    else:
        columns = [Column("subject", "subject"), Column("body", "body")]
        output.emit_one(session, sample, columns, lambda row: str(row["subject"]))


def _await_delivery(connection: Connection, policy_id: Any, delivery_id: str, timeout: float) -> dict[str, Any]:
    """The delivery once it is settled. Raises TimedOut."""
    from penstock.client import notification_policies

    deadline = time.monotonic() + timeout
    while True:
        rows = connection.rows(notification_policies.read_notification_deliveries(policy_id, _PAGE))
        found = next((row for row in rows if row["id"] == delivery_id), None)
        if found is None:
            raise PenstockError("The test has vanished: somebody has just deleted the policy.")
        if found["status"] in ("Sent", "Failed"):
            return found
        if time.monotonic() >= deadline:
            raise TimedOut(
                f"The message is {found['status']} still; it is not given up.",
                hint=f"See `penstock notification inspect {policy_id}`.",
            )
        time.sleep(_LOOK)


@command.command("delete")
@click.argument("id_", metavar="ID")
def delete(id_: str) -> None:
    """Delete a notification policy, and the messages that it has not sent yet."""
    from penstock.client import notification_policies

    with connect() as connection:
        row = _find(connection, id_)
        connection.send(notification_policies.delete_flow_run_notification_policy(row["id"]))
    output.done(current(), f"Deleted the notification policy {row['id']}.", row, _COLUMNS, _id)


def _find(connection: Connection, reference: str) -> dict[str, Any]:
    """The policy with that id, or whose id begins so. Raises UsageProblem, NotFound, Conflict."""
    from penstock.client import notification_policies

    identifier = references.as_uuid(reference)
    if identifier is None and not references.is_prefix(reference):
        raise UsageProblem(
            f"{reference!r} names no notification policy.", hint="Write its id, or the first characters of it."
        )
    missing = NotFound(f"There is no notification policy {reference}.", hint="See `penstock notification ls`.")
    if identifier is not None:
        try:
            row = connection.row(notification_policies.read_flow_run_notification_policy(identifier))
        except NotFound:
            raise missing from None
        return _with_blocks(connection, [row])[0]
    call = notification_policies.read_flow_run_notification_policies(limit=_PAGE)
    begins = reference.replace("-", "").lower()
    found = [row for row in connection.rows(call) if row["id"].replace("-", "").startswith(begins)]
    if not found:
        raise missing
    if len(found) > 1:
        ids = ", ".join(row["id"][:13] for row in found[:5])
        raise Conflict(f"{len(found)} notification policies are meant by {reference!r}: {ids} …", hint="Use an id.")
    return _with_blocks(connection, found)[0]


def _with_blocks(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`rows`, each with the reference of its block. One request for all."""
    from penstock.client import block_documents

    ids = sorted({row["block_document_id"] for row in rows})
    names: dict[str, str] = {}
    if ids:
        call = block_documents.read_block_documents(block_document_filter={"id": {"any_": ids}}, limit=_PAGE)
        names = {block["id"]: with_reference(block)["reference"] for block in connection.rows(call)}
    return [{**row, "block": names.get(row["block_document_id"])} for row in rows]
