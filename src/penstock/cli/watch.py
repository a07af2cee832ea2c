"""Following a run: its states and log lines as they come, an explanation while it waits, and how it ended."""

import json
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from penstock.cli import exit_codes, log_lines, output, states, times
from penstock.cli.connection import Connection
from penstock.cli.errors import TimedOut
from penstock.cli.flow_run_attempts import attempt_lines, attempt_rows
from penstock.cli.output import Column
from penstock.cli.session import Session
from penstock.errors import PenstockError, Unreachable

#: What is shown of a run that was asked for.
COLUMNS = [
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("STATE", "state_name"),
    Column("DUE", "expected_start_time"),
    Column("QUEUE", "work_queue_name"),
    Column("PARAMETERS", "parameters"),
]

#: Seconds between two looks, and how long a run may wait before it is told why.
_INTERVAL, _PATIENCE = 0.4, 3.0
#: Seconds after which an explanation in which only numbers have changed is told again: how far an image is, how long a
#: wait still is.
_NUMBERS_AGAIN = 15.0
#: Seconds that a watched run's server may be away.
_ABSENCE = 300.0
#: The logger that tells how each attempt ended.
_ATTEMPTS = "penstock.attempts"


def is_told_at_the_end(session: Session) -> bool:
    """Whether a form of data was asked for that holds one object: the run that is followed, as it is at the end."""
    return session.output != "jsonl" and (session.output is not None or bool(session.fields))


class Watch:
    """One run that is followed. Log lines go to stdout, states and explanations to stderr; as JSON lines all to stdout.

    In other forms of data the run itself is all of stdout, and log lines go to stderr too.
    """

    def __init__(self, connection: Connection, session: Session, run: dict[str, Any]) -> None:
        self._connection = connection
        self._session = session
        self.run = run
        self._tail = log_lines.Tail(connection, run["id"])
        self._seen_states: set[str] = set()
        self._explained = Explained()
        self._message = ""
        self._waiting_since = time.monotonic()

    def look(self) -> bool:
        """Print what is new. Returns whether the run is over and everything about it was printed."""
        from penstock.client import flow_runs

        self.run = self._connection.row(flow_runs.read_flow_run(self.run["id"]))
        news: list[tuple[datetime, Callable[[], None]]] = []
        for state in self._connection.rows(flow_runs.read_flow_run_states(self.run["id"])):
            if state["id"] not in self._seen_states:
                self._seen_states.add(state["id"])
                news.append((_moment(state["timestamp"]), lambda state=state: self._print_state(state)))  # type: ignore[misc]
        for row in self._tail.new():
            news.append((_moment(row["timestamp"]), lambda row=row: self._print_log(row)))  # type: ignore[misc]
        for _, tell in sorted(news, key=lambda item: item[0]):
            tell()
        sys.stdout.flush()
        if news:
            self._waiting_since = time.monotonic()
        over = self.run["state_type"] in states.FINAL
        if not over and self.run["state_type"] in {"SCHEDULED", "PENDING", "CANCELLING"}:
            self._explain()
        return over and not news

    def _print_state(self, state: dict[str, Any]) -> None:
        if self._session.format == "jsonl":
            output.write(json.dumps({"kind": "state", **state}) + "\n")
            return
        self._message = str(state.get("message") or "")
        message = f": {output.text_of(state['message'])}" if state.get("message") else ""
        self._session.say(f"{times.clock_time(state['timestamp'])} | {state['name']}{message}")

    def _print_log(self, row: dict[str, Any]) -> None:
        if self._session.format == "jsonl":
            output.write(json.dumps({"kind": "log", **row}) + "\n")
        elif self._was_told(row):
            return
        elif is_told_at_the_end(self._session):
            self._session.say(log_lines.line(self._session, row))
        else:
            output.write(log_lines.line(self._session, row) + "\n")

    def _was_told(self, row: dict[str, Any]) -> bool:
        """Whether a line tells the end of an attempt that the state has told just now."""
        told = self._message.rstrip(".") if row["name"] == _ATTEMPTS and not self._session.quiet else ""
        return bool(told) and told in row["message"]

    def _explain(self) -> None:
        if time.monotonic() - self._waiting_since < _PATIENCE or self._session.quiet:
            return
        from penstock.client import flow_runs

        try:
            answer = self._connection.row(flow_runs.explain_flow_run(self.run["id"]))
        except PenstockError:
            return  # an explanation is a courtesy; the run is followed without it
        if answer["state"] != self.run["state_name"]:
            return  # it has gone on meanwhile: its next state comes first
        news = self._explained.news(answer["explanation"], self._message, time.monotonic())
        if news:
            self._session.say(f"{' ' * 12} | {news}")

    def conclude(self) -> int:
        """Tell how the run ended, and for a bad end why; the exit code that says the same."""
        kind = str(self.run["state_type"])
        if self._session.format == "jsonl":
            output.write(json.dumps({"kind": "run", **self.run}) + "\n")
        else:
            took = times.span(self.run.get("total_run_time"))
            self._session.say(f"{self.run['name']} is {self.run['state_name']} after {took}.")
            if kind in {"FAILED", "CRASHED"}:
                self._tell_why()
        return exit_codes.OF_STATE.get(kind, exit_codes.FAILURE)

    def show(self) -> None:
        """Print the run as it was seen last, if a form was asked for that holds one object."""
        if is_told_at_the_end(self._session):
            output.emit_one(self._session, self.run, COLUMNS, lambda row: str(row["id"]))

    def _tell_why(self) -> None:
        attempts = attempt_rows(self._connection, self.run["id"])
        details = (self.run.get("state") or {}).get("state_details") or {}
        if attempts:
            # What a failed flow wrote was followed line by line; of a crash the last output may be all there is.
            known = self.run["state_type"] == "FAILED" and self._tail.any
            last = {**attempts[-1], "output_tail": None} if known else attempts[-1]
            self._session.say("\n".join(attempt_lines(last)))
        elif details.get("hint"):
            self._session.say(f"hint: {details['hint']}")


class Explained:
    """What was told of why a run waits, so that nobody reads it twice."""

    def __init__(self) -> None:
        self._told, self._told_at = "", 0.0

    def news(self, explanation: str, message: str, now: float) -> str:
        """What of `explanation` is to be told at `now`, on a monotonic clock; "" if nothing.

        `message` is that of the state, which was told when the run entered it.
        """
        said = message.rstrip().rstrip(".")
        rest = explanation[len(said) :].lstrip(". ") if said and explanation.startswith(said) else explanation
        counted = _without_numbers(rest) == _without_numbers(self._told)
        if not rest or rest == self._told or (counted and now - self._told_at < _NUMBERS_AGAIN):
            return ""
        self._told, self._told_at = rest, now
        return rest


def _without_numbers(text: str) -> str:
    return re.sub(r"\d[\d.]*", "", text)


def watch_run(
    connection: Connection,
    session: Session,
    run: dict[str, Any],
    *,
    timeout: float | None = None,
    interval: float = _INTERVAL,
    alive: Callable[[], None] | None = None,
    on_interrupt: Callable[[dict[str, Any]], None] | None = None,
) -> int:
    """Follow `run` to its end and return the exit code that tells how it ended: 0, 10, 11 or 12.

    Ctrl-C leaves the run alone, says how to come back and how to cancel, and gives 130. With `on_interrupt` that is called
    with the run instead, and the run is followed on; Ctrl-C once more is left to the caller. `alive` is called at each
    look and may raise. Raises TimedOut after `timeout` seconds.
    """
    watch = Watch(connection, session, run)
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        return _to_the_end(watch, session, interval, deadline, alive)
    except KeyboardInterrupt:
        if on_interrupt is not None:
            on_interrupt(watch.run)
            return _to_the_end(watch, session, interval, deadline, alive)
        session.say(
            f"\nStopped watching; {run['name']} goes on.\n"
            f"  watch it again:  penstock flow-run watch {run['id']}\n"
            f"  cancel it:       penstock flow-run cancel {run['id']}"
        )
        return exit_codes.INTERRUPTED
    finally:
        watch.show()


def _to_the_end(
    watch: Watch, session: Session, interval: float, deadline: float | None, alive: Callable[[], None] | None
) -> int:
    while not _look(watch, session):
        if watch.run["state_type"] not in states.FINAL:
            if alive is not None:
                alive()
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut(
                    f"{watch.run['name']} is still {watch.run['state_name']}; it goes on.",
                    hint=f"Watch it again with `penstock flow-run watch {watch.run['id']}`.",
                )
            time.sleep(interval)
    return watch.conclude()


def _look(watch: Watch, session: Session) -> bool:
    """`watch.look()`, however long the server is away, up to _ABSENCE seconds."""
    absent_since: float | None = None
    while True:
        try:
            return watch.look()
        except Unreachable as error:
            if absent_since is None:
                absent_since = time.monotonic()
                session.warn(f"{error.message}. The run goes on; watching for the server to come back.")
            if time.monotonic() - absent_since > _ABSENCE:
                raise
            time.sleep(1)


def _moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
