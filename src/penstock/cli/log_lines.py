"""Log lines: from what the server gives to what is printed."""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from penstock.cli import times
from penstock.cli.connection import Connection
from penstock.cli.session import Session

#: Entries of one page, as many as the API gives at once.
PAGE = 200
#: Lines may reach the server out of order: each look goes back by so much time, but not beyond so many lines, and leaves
#: out what was seen.
_OVERLAP = timedelta(seconds=10)
_OVERLAP_LINES = 1_000

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
    """The lines that fit `wanted`, page by page, at most `limit`.

    Each page begins at the time of the last line so far, and leaves out as many lines of that time as were given. So
    the thousandth page takes no longer than the first, and lines that come in meanwhile move nothing.
    """
    from penstock.client import logs

    sort, bound = ("TIMESTAMP_DESC", "before_") if newest_first else ("TIMESTAMP_ASC", "after_")
    given, offset, reached = 0, 0, None
    while limit is None or given < limit:
        size = PAGE if limit is None else min(PAGE, limit - given)
        page = connection.rows(logs.read_logs(log_filter=wanted, sort=sort, limit=size, offset=offset))
        yield from page
        given += len(page)
        if len(page) < size:
            return
        last = page[-1]["timestamp"]
        of_that_time = next((n for n, row in enumerate(reversed(page)) if row["timestamp"] != last), len(page))
        offset = of_that_time + (offset if last == reached and of_that_time == len(page) else 0)
        reached = last
        wanted = {**wanted, "timestamp": {**wanted.get("timestamp", {}), bound: last}}


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
        self._recent: deque[datetime] = deque(maxlen=_OVERLAP_LINES)
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
            back = self._latest - _OVERLAP
            if len(self._recent) == _OVERLAP_LINES:
                back = max(back, min(self._recent))
            after = max(back, self._from) if self._from else back
        wanted = log_filter(self._flow_run_id, level=self._level, after=after)
        rows = [row for row in pages(self._connection, wanted) if row["id"] not in self._seen]
        self._note(rows)
        return rows

    def _note(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            self._seen.add(str(row["id"]))
            moment = datetime.fromisoformat(str(row["timestamp"]))
            self._latest = max(self._latest, moment) if self._latest else moment
            self._recent.append(moment)


def line(session: Session, row: dict[str, Any]) -> str:
    """A log entry as one or more lines: time, level, logger, message; no colours in a pipe."""
    level = int(row["level"])
    word = _NAMES.get(level, f"LEVEL {level}")
    shown = f"{times.clock_time(row['timestamp'])} | {word:<7} | {row['name']} - {row['message']}"
    colour = _COLOURS.get(max((known for known in _COLOURS if known <= level), default=0))
    return f"\x1b[{colour}m{shown}\x1b[0m" if colour and session.coloured(sys.stdout) else shown
