"""The attempts of a flow run, as they are shown: each launch, how far it came and why it ended."""

from typing import Any

from penstock.cli import output, times
from penstock.cli.connection import Connection
from penstock.cli.output import Column
from penstock.cli.session import Session

_COLUMNS = [
    Column("NUMBER", "number"),
    Column("STATUS", "status"),
    Column("PHASE", "phase"),
    Column("REASON", "reason"),
    Column("EXIT", "exit.code"),
    Column("SIGNAL", "exit.signal"),
    Column("AGENT", "agent_name"),
    Column("CLAIMED", "claimed_at", show=times.ago),
    Column("ENDED", "ended_at", show=times.ago),
    Column("MESSAGE", "message", wide=True),
    Column("JOB", "job_name", wide=True),
    Column("ID", "id", wide=True),
]
#: Lines of the last output that are shown to people; -o json has all that is kept.
_OUTPUT_LINES = 20


def attempt_rows(connection: Connection, flow_run_id: str) -> list[dict[str, Any]]:
    """The attempts of a run by number, as plain JSON."""
    from penstock.client import attempts

    return connection.rows(attempts.read_attempts(flow_run_id))  # type: ignore[arg-type]


def show_attempts(session: Session, rows: list[dict[str, Any]]) -> None:
    """Print attempts as a list."""
    output.emit(session, rows, _COLUMNS, lambda row: str(row["id"]))


def attempt_lines(attempt: dict[str, Any]) -> list[str]:
    """An attempt for people: only what is known."""
    # the flow has told how it ended, and its platform has not told the end of the job yet
    ending = attempt["status"] == "RUNNING" and attempt.get("reason") is not None
    head = f"attempt {attempt['number']}: {'ENDING' if ending else attempt['status']}"
    where = [part for part in (attempt.get("infrastructure_type"), attempt.get("agent_name")) if part]
    if where:
        head += f" ({' by agent '.join(where)})"
    exit_: dict[str, Any] = attempt.get("exit") or {}
    platform = exit_.get("message")
    facts = {
        "phase": attempt.get("phase"),
        "reason": attempt.get("reason"),
        "message": attempt.get("message"),
        "platform": platform if platform and platform not in (attempt.get("message") or "") else None,
        "waiting for": attempt.get("waiting_for"),
        "exit code": exit_.get("code"),
        "signal": exit_.get("signal"),
        "out of memory": "yes" if exit_.get("oom") else None,
        "unseen since": attempt.get("unobserved_since"),
        "hint": attempt.get("hint"),
    }
    lines = [head] + [f"  {key + ':':<14} {output.text_of(value)}" for key, value in facts.items() if value is not None]
    tail = (attempt.get("output_tail") or "").rstrip().splitlines()
    if tail:
        cut = f" (the last {_OUTPUT_LINES} of {len(tail)} lines)" if len(tail) > _OUTPUT_LINES else ""
        lines.append(f"  last output{cut}:")
        lines += [f"    {line}" for line in tail[-_OUTPUT_LINES:]]
    return lines
