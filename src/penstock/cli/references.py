"""How things are named on the command line: ids, their first characters, names, @latest, @last-failed, - for stdin."""

import re
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock import clock
from penstock.cli.connection import Connection
from penstock.cli.errors import UsageProblem
from penstock.errors import Conflict, NotFound, did_you_mean

LATEST, LAST_FAILED = "@latest", "@last-failed"
_HEX = re.compile(r"[0-9a-fA-F-]+")
#: How many of the newest runs are looked through for the first characters of an id: one page of the API.
_LOOK_BACK = 200
#: How many deployments are named in an error.
_NAMED = 5

_ACCEPTED_RUN = f"Accepted: an id or its first characters, a name, {LATEST}, {LAST_FAILED}, or - for ids from stdin."
_ACCEPTED_DEPLOYMENT = (
    "Accepted: flow/deployment, an id or its first characters, or a name that only one deployment has."
)


def unknown(group: str, name: str, known: Iterable[str], sentence: str | None = None) -> NotFound:
    """The error that nothing is called `name`: with the nearest of the `known` names, and what lists them.

    `group` is that of the commands, e.g. ``work-pool``. `sentence`: what is said in place of "There is no work pool …".
    """
    said = sentence or f"There is no {group.replace('-', ' ')} {name!r}"
    return NotFound(f"{said}.{did_you_mean(name, known)}", hint=f"See `penstock {group} ls`.")


def as_uuid(text: str) -> UUID | None:
    """`text` as an id, dashed or not; None if it is none."""
    digits = text.replace("-", "")
    if _HEX.fullmatch(text) and len(digits) == 32:
        try:
            return UUID(digits)
        except ValueError:
            return None
    return None


def looks_like_id(text: str) -> bool:
    """Whether `text` can only have been meant as an id: hexadecimal, with dashes, and nearly as long as one."""
    return bool(_HEX.fullmatch(text)) and "-" in text and len(text.replace("-", "")) > 20


def is_prefix(text: str) -> bool:
    """Whether `text` may be the first characters of an id."""
    digits = text.replace("-", "")
    return bool(_HEX.fullmatch(text)) and 4 <= len(digits) < 32


def expand(references: Iterable[str]) -> list[str]:
    """`references` with `-` replaced by the lines of stdin."""
    found: list[str] = []
    for reference in references:
        if reference == "-":
            found.extend(line.strip() for line in sys.stdin if line.strip())
        else:
            found.append(reference)
    return found


def _refuse_malformed(text: str, accepted: str) -> None:
    if looks_like_id(text) and as_uuid(text) is None:
        digits = len(text.replace("-", ""))
        raise UsageProblem(f"{text!r} is no id: it has {digits} hexadecimal digits instead of 32.", hint=accepted)


def _starts_with(row: dict[str, Any], prefix: str) -> bool:
    return str(row["id"]).replace("-", "").startswith(prefix.replace("-", "").lower())


def flow_run(connection: Connection, reference: str) -> dict[str, Any]:
    """The flow run that `reference` names, as plain JSON. Raises NotFound, UsageProblem if it can be no reference."""
    return _run(connection, reference, "flow")


def task_run(connection: Connection, reference: str) -> dict[str, Any]:
    """The task run that `reference` names, as plain JSON."""
    return _run(connection, reference, "task")


def _run(connection: Connection, reference: str, kind: str) -> dict[str, Any]:
    if kind == "flow":
        from penstock.client import flow_runs as noun

        read = noun.read_flow_run
    else:
        from penstock.client import task_runs

        read = task_runs.read_task_run  # type: ignore[assignment]
    identifier = as_uuid(reference)
    if identifier is not None:
        try:
            return connection.row(read(identifier))
        except NotFound:
            raise NotFound(f"There is no {kind} run {reference}.", hint=f"See `penstock {kind}-run ls`.") from None
    _refuse_malformed(reference, _ACCEPTED_RUN)
    if reference.startswith("@"):
        return _newest(connection, reference, kind)
    named = _find(connection, kind, {"name": {"any_": [reference]}})
    if is_prefix(reference) and not named:
        named = [row for row in _find(connection, kind, None) if _starts_with(row, reference)]
    if not named:
        raise NotFound(f"There is no {kind} run {reference!r}.", hint=_ACCEPTED_RUN)
    if len(named) > 1:
        ids = ", ".join(str(row["id"])[:13] for row in named[:5])
        raise Conflict(f"{len(named)} {kind} runs are meant by {reference!r}: {ids} …", hint="Use an id.")
    return named[0]


def _newest(connection: Connection, reference: str, kind: str) -> dict[str, Any]:
    if reference not in {LATEST, LAST_FAILED}:
        raise UsageProblem(
            f"{reference!r} is no reference.{did_you_mean(reference, [LATEST, LAST_FAILED])}", hint=_ACCEPTED_RUN
        )
    if reference == LAST_FAILED:
        found = _find(connection, kind, {"state": {"type": {"any_": ["FAILED", "CRASHED"]}}}, limit=1)
    else:
        found = _latest(connection, kind)
    if not found:
        raise NotFound(
            f"No {kind} run has failed yet." if reference == LAST_FAILED else f"There are no {kind} runs yet."
        )
    return found[0]


def _latest(connection: Connection, kind: str) -> list[dict[str, Any]]:
    """The run that was asked for or planned last, without those that a schedule plans for the future."""
    if kind == "task":
        return _find(connection, kind, None, limit=1)
    now = clock.now().isoformat()
    due = _find(connection, kind, {"expected_start_time": {"before_": now}}, limit=1)
    later = _find(connection, kind, {"expected_start_time": {"after_": now}})
    found = due + [row for row in later if not row.get("auto_scheduled")]
    newest = max(found, key=_asked_for, default=None)
    return [newest] if newest is not None else []


def _asked_for(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(str(row["expected_start_time" if row.get("auto_scheduled") else "created"]))


def _find(
    connection: Connection, kind: str, run_filter: dict[str, Any] | None, limit: int = _LOOK_BACK
) -> list[dict[str, Any]]:
    if kind == "flow":
        from penstock.client import flow_runs

        return connection.rows(
            flow_runs.read_flow_runs(flow_run_filter=run_filter, sort="EXPECTED_START_TIME_DESC", limit=limit)
        )
    from penstock.client import task_runs

    return connection.rows(
        task_runs.read_task_runs(task_run_filter=run_filter, sort="EXPECTED_START_TIME_DESC", limit=limit)
    )


def deployment(connection: Connection, reference: str) -> dict[str, Any]:
    """The deployment that `reference` names, as plain JSON with `flow_name` added."""
    from penstock.client import deployments

    identifier = as_uuid(reference)
    if identifier is not None:
        try:
            return with_flow_names(connection, [connection.row(deployments.read_deployment(identifier))])[0]
        except NotFound:
            raise NotFound(f"There is no deployment {reference}.", hint="See `penstock deployment ls`.") from None
    _refuse_malformed(reference, _ACCEPTED_DEPLOYMENT)
    flow_name, slash, name = reference.partition("/")
    if slash:
        try:
            row = connection.row(deployments.read_deployment_by_name(f"{flow_name}/{name}"))
        except NotFound:
            raise _unknown_deployment(connection, reference) from None
        return {**row, "flow_name": flow_name}
    sort = "CREATED_DESC" if reference == LATEST else "NAME_ASC"
    rows = connection.rows(deployments.read_deployments(sort=sort, limit=_LOOK_BACK))
    if reference == LATEST and rows:
        return with_flow_names(connection, rows[:1])[0]
    found = [row for row in rows if row["name"] == reference]
    if not found and is_prefix(reference):
        found = [row for row in rows if _starts_with(row, reference)]
    found = with_flow_names(connection, found)
    if len(found) > 1:
        names = ", ".join(f"{row['flow_name']}/{row['name']}" for row in found[:_NAMED])
        raise Conflict(f"{len(found)} deployments are called {reference!r}: {names}.", hint="Write flow/deployment.")
    if not found:
        raise _unknown_deployment(connection, reference)
    return found[0]


def _unknown_deployment(connection: Connection, reference: str) -> NotFound:
    from penstock.client import deployments

    rows = with_flow_names(connection, connection.rows(deployments.read_deployments(limit=_LOOK_BACK)))
    known = [f"{row['flow_name']}/{row['name']}" for row in rows]
    of_flow = [name for name in known if name.startswith(f"{reference}/")]
    if of_flow:
        hint = f"It is a flow, whose deployments are {', '.join(of_flow[:_NAMED])}{' …' if of_flow[_NAMED:] else ''}."
        return NotFound(f"There is no deployment {reference!r}.", hint=hint)
    if "/" not in reference:
        known += [row["name"] for row in rows]
    return unknown("deployment", reference, known)


def with_flow_names(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`rows` (deployments or runs), each with the `flow_name` that its `flow_id` stands for. One request for all."""
    from penstock.client import flows

    ids = sorted({str(row["flow_id"]) for row in rows})
    names: dict[str, str] = {}
    if ids:
        found = connection.rows(flows.read_flows(flow_filter={"id": {"any_": ids}}, limit=_LOOK_BACK))
        names = {str(flow["id"]): str(flow["name"]) for flow in found}
    return [{**row, "flow_name": names.get(str(row["flow_id"]))} for row in rows]


def one_deployment(connection: Connection, name: str | None, id_: str | None) -> dict[str, Any]:
    """The deployment that NAME or --id name. Raises UsageProblem unless exactly one of them is given."""
    if (name is None) == (id_ is None):
        raise UsageProblem("Name one deployment: by FLOW/DEPLOYMENT or by --id.", hint="See `penstock deployment ls`.")
    if id_ is not None and as_uuid(id_) is None:
        raise UsageProblem(f"{id_!r} is no id.", hint="An id is a UUID of 32 hexadecimal digits.")
    return deployment(connection, str(id_ or name))
