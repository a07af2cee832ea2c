"""Log lines: from what the server gives to what is printed."""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from penstock.cli import times
from penstock.cli.connection import Connection
from penstock.cli.session import Session

#: Entries of one page, as many as the API gives at once.
PAGE = 200
#: Lines may reach the server out of order: each look goes back by so much and leaves out what was seen.
_OVERLAP = timedelta(seconds=10)

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_NAMES = {number: name for name, number in LEVELS.items()}
_COLOURS = {30: "33", 40: "31", 50: "31;1"}


def log_filter(
    flow_run_id: str | None = None,
    *,
    task_run_id: str | None = None,
    level: int | None = None,
    after: datetime | None = None,
) -> dict[str, Any]:
    """The filter of the API for the lines of one run."""
    found: dict[str, Any] = {}
    if flow_run_id is not None:
        found["flow_run_id"] = {"any_": [str(flow_run_id)]}
    if level is not None:
        found["level"] = {"ge_": level}
    if after is not None:
        found["timestamp"] = {"after_": after.isoformat()}
    if task_run_id is not None:
        found["task_run_id"] = {"any_": [str(task_run_id)]}
    return found


def pages(
    connection: Connection, wanted: dict[str, Any], *, newest_first: bool = False, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """The lines that fit `wanted`, page by page, at most `limit`."""
    from penstock.client import logs

    sort = "TIMESTAMP_DESC" if newest_first else "TIMESTAMP_ASC"
    offset = 0
    while limit is None or offset < limit:
        size = PAGE if limit is None else min(PAGE, limit - offset)
        page = connection.rows(logs.read_logs(log_filter=wanted, sort=sort, limit=size, offset=offset))
        yield from page
        offset += len(page)
        if len(page) < size:
            return


class Tail:
    """New lines of one run, each once, as they come in; `level` and `after` leave out others."""

    def __init__(
        self, connection: Connection, flow_run_id: str, *, level: int | None = None, after: datetime | None = None
    ) -> None:
        self._connection = connection
        self._flow_run_id = flow_run_id
        self._level = level
        self._from = after
        self._latest: datetime | None = None
        self._seen: set[str] = set()

    @property
    def any(self) -> bool:
        """Whether there were any lines so far."""
        return bool(self._seen)

    def skip(self, rows: Sequence[dict[str, Any]]) -> None:
        """Count `rows` as printed already."""
        self._note(rows)

    def new(self) -> list[dict[str, Any]]:
        """The lines that came in since the last call, oldest first."""
        after = self._from
        if self._latest is not None:
            after = max(self._latest - _OVERLAP, self._from) if self._from else self._latest - _OVERLAP
        wanted = log_filter(self._flow_run_id, level=self._level, after=after)
        rows = [row for row in pages(self._connection, wanted) if row["id"] not in self._seen]
        self._note(rows)
        return rows

    def _note(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            self._seen.add(str(row["id"]))
            moment = datetime.fromisoformat(str(row["timestamp"]))
            self._latest = max(self._latest, moment) if self._latest else moment


def line(session: Session, row: dict[str, Any]) -> str:
    """A log entry as one or more lines: time, level, logger, message; no colours in a pipe."""
    level = int(row["level"])
    word = _NAMES.get(level, f"LEVEL {level}")
    shown = f"{times.clock_time(row['timestamp'])} | {word:<7} | {row['name']} - {row['message']}"
    colour = _COLOURS.get(max((known for known in _COLOURS if known <= level), default=0))
    return f"\x1b[{colour}m{shown}\x1b[0m" if colour and session.coloured(sys.stdout) else shown
