"""`penstock api`: any request to the server, with its address and key taken from the settings."""

import json
import sys
from typing import Any

import click

from penstock.cli import output
from penstock.cli.connection import connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command as verb
from penstock.cli.session import current

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def body_of(data: str | None, fields: tuple[str, ...]) -> Any:
    """The body that --data or -f ask for. Raises UsageProblem."""
    if data is not None and fields:
        raise UsageProblem("--data and --field exclude each other.")
    if data == "-":
        data = sys.stdin.read()
    if data is not None:
        try:
            return json.loads(data)
        except ValueError as error:
            raise UsageProblem(f"--data is not valid JSON: {error}") from None
    if not fields:
        return None
    body: dict[str, Any] = {}
    for field in fields:
        key, equals, text = field.partition("=")
        if not equals:
            raise UsageProblem(f"{field!r} is no field.", hint="Write KEY=VALUE; the value is JSON or text.")
        try:
            body[key] = json.loads(text)
        except ValueError:
            body[key] = text
    return body


@verb("api")
@click.argument("method", type=click.Choice(_METHODS, case_sensitive=False))
@click.argument("path")
@click.option("-d", "--data", metavar="JSON", help="Body of the request; - reads it from stdin.")
@click.option(
    "-f",
    "--field",
    "body_fields",
    multiple=True,
    metavar="KEY=VALUE",
    help="One field of the body; repeat it for more.",
)
def command(method: str, path: str, data: str | None, body_fields: tuple[str, ...]) -> None:
    """Send a request to the server's API.

    PATH is relative to the API, e.g. /flow_runs/filter.
    """
    body = body_of(data, body_fields)
    path = "/" + path.lstrip("/")
    if path.startswith("/api/"):
        path = path[4:]
    session = current()
    with connect() as connection:
        answer = connection.request(method.upper(), path, {} if body is None and method.upper() == "POST" else body)
    if session.output in {None, "json"} and not session.fields:
        output.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")
    elif isinstance(answer, list):
        rows = [row if isinstance(row, dict) else {"value": row} for row in answer]
        keys = list(dict.fromkeys(key for row in rows for key in row))
        output.emit(session, rows, [output.Column(key.upper(), key) for key in keys], _name)
    else:
        row = answer if isinstance(answer, dict) else {"value": answer}
        output.emit_one(session, row, [output.Column(key, key) for key in row], _name)


def _name(row: output.Row) -> str:
    return str(row.get("id") or row.get("name") or row.get("value") or "")
