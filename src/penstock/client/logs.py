"""Calls about the log lines of runs."""

from typing import TYPE_CHECKING, Any

from penstock.client.call import Call, given, nothing

if TYPE_CHECKING:
    from penstock.model.logs import Log, LogCreate


def create_logs(logs: "list[LogCreate]") -> Call[None]:
    """Add lines. Not repeatable: lines have no identity; what must come exactly once travels in numbered reports."""
    return Call("POST", "/logs/", nothing, body=logs, repeatable=False)


def read_logs(
    *,
    log_filter: dict[str, Any] | None = None,
    sort: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[Log]]":
    """Lines that fit the filter, which has the shape of the API. `sort` is a `LogSort`."""
    body = given(logs=log_filter, sort=sort, limit=limit, offset=offset)
    return Call("POST", "/logs/filter", _logs, body=body)


def _logs() -> "type[list[Log]]":
    from penstock.model.logs import Log

    return list[Log]
