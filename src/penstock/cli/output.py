"""How data is printed: aligned columns on a terminal, tabs in a pipe, or JSON, JSON lines, YAML, names.

Data is plain JSON: objects with string keys. It goes to stdout and nothing else does.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.cli.errors import UsageProblem
from penstock.cli.session import Session
from penstock.errors import did_you_mean

Row = Mapping[str, Any]

_STATE_COLOURS = {
    "COMPLETED": "32",
    "FAILED": "31",
    "CRASHED": "31;1",
    "RUNNING": "34",
    "PENDING": "36",
    "CANCELLED": "90",
    "CANCELLING": "33",
    "PAUSED": "33",
}


#: Characters of an id in a narrow terminal: two of its groups.
_SHORT_ID = 13


@dataclass(frozen=True)
class Column:
    """One column: its title and the field it shows, a path with dots. `wide`: shown with `-o wide` only.

    `show` turns the value into text for people; machines get it as it is.
    """

    title: str
    field: str
    wide: bool = False
    show: Callable[[Any], str] | None = None


def field(row: Any, path: str) -> Any:
    """The value at `path` ("state.message"), None where the way ends early."""
    if isinstance(row, Mapping) and path in row:
        return row[path]
    for part in path.split("."):
        if not isinstance(row, Mapping):
            return None
        row = row.get(part)
    return row


def text_of(value: Any) -> str:
    """A value as one cell: no line breaks, no tabs; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value)
    else:
        text = json.dumps(value, separators=(", ", ": "), ensure_ascii=False)
    return " ".join(text.split()) if any(c in text for c in "\t\r\n") else text


def emit(session: Session, rows: Iterable[Row], columns: Sequence[Column], name: Callable[[Row], str]) -> None:
    """Print a list. `name` gives the reference of a row that other commands accept."""
    listed = list(rows)
    if session.fields:
        _check_fields(session.fields, listed, columns)
        columns = [Column(path.upper(), path) for path in session.fields]
    form = session.format
    if form == "name":
        _write_lines(name(row) for row in listed)
    elif form in {"json", "jsonl", "yaml"}:
        _dump(form, [_picked(session, row) for row in listed])
    else:
        _table(session, listed, [column for column in columns if form == "wide" or session.fields or not column.wide])


def emit_one(session: Session, row: Row, columns: Sequence[Column], name: Callable[[Row], str]) -> None:
    """Print one object: as `key  value` lines, one JSON object, or its name."""
    if session.fields:
        _check_fields(session.fields, [row], columns)
        columns = [Column(path, path) for path in session.fields]
    form = session.format
    if form == "name":
        _write_lines([name(row)])
    elif form in {"json", "jsonl", "yaml"}:
        picked = _picked(session, row)
        if form == "jsonl":
            _dump("jsonl", [picked])
        else:
            _dump(form, picked)
    else:
        shown = [column for column in columns if form == "wide" or session.fields or not column.wide]
        _pairs([(column.title.lower(), _cell(column, row)) for column in shown])


def done(session: Session, message: str, row: Row, columns: Sequence[Column], name: Callable[[Row], str]) -> None:
    """Tell that something was done: a sentence for people; the object itself where a form was asked for."""
    session.say(message)
    if session.output is not None or session.fields:
        emit_one(session, row, columns, name)


def write(text: str) -> None:
    """Data that is text already."""
    sys.stdout.write(text)


def _picked(session: Session, row: Row) -> Any:
    return {path: field(row, path) for path in session.fields} if session.fields else row


def _check_fields(wanted: Sequence[str], rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """A field that no row has is a typing error. With no rows there is only the table's own list to go by."""
    known = {key for row in rows for key in row} | {column.field for column in columns}
    for path in wanted:
        head = path.split(".")[0]
        if rows and path not in known and head not in known:
            raise UsageProblem(
                f"There is no field {path!r}.{did_you_mean(path, known)}", hint=f"Fields: {', '.join(sorted(known))}."
            )


def _cell(column: Column, row: Row) -> str:
    value = field(row, column.field)
    return column.show(value) if column.show is not None else text_of(value)


def _table(session: Session, rows: Sequence[Row], columns: Sequence[Column]) -> None:
    titles = [column.title for column in columns]
    cells = [[_cell(column, row) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        _write_lines("\t".join(line) for line in [titles, *cells])
        return
    widths = _widths(titles, cells)
    if session.format != "wide":
        room = shutil.get_terminal_size().columns
        if _excess(widths, room) > 0:
            cells = _with_short_ids(titles, cells)
            widths = _widths(titles, cells)
        widths = _fitted(widths, room)
    bold, off = ("\x1b[1m", "\x1b[0m") if session.coloured(sys.stdout) else ("", "")
    lines = [bold + _aligned(titles, widths) + off]
    lines += [_aligned(line, widths, _painter(session, row, columns)) for line, row in zip(cells, rows, strict=True)]
    _write_lines(lines)


def _widths(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(line[index]) for line in [titles, *cells]) for index in range(len(titles))]


def _excess(widths: Sequence[int], room: int) -> int:
    return sum(widths) + 2 * (len(widths) - 1) - room


def _with_short_ids(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> list[list[str]]:
    """Ids cut to their first characters, which name the same thing to every command."""
    return [
        [cell[:_SHORT_ID] if title == "ID" else cell for title, cell in zip(titles, line, strict=True)]
        for line in cells
    ]


def _fitted(widths: list[int], room: int) -> list[int]:
    """Widths that fit into `room` by cutting the widest column, as long as it stays readable."""
    widths = list(widths)
    excess = _excess(widths, room)
    if excess > 0:
        widest = widths.index(max(widths))
        widths[widest] = max(16, widths[widest] - excess)
    return widths


def _aligned(cells: Sequence[str], widths: Sequence[int], paint: Callable[[int, str], str] | None = None) -> str:
    parts = []
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        cut = cell if len(cell) <= width else cell[: width - 1] + "…"
        padded = cut.ljust(width) if index < len(widths) - 1 else cut
        parts.append(paint(index, padded) if paint else padded)
    return "  ".join(parts).rstrip()


def _painter(session: Session, row: Row, columns: Sequence[Column]) -> Callable[[int, str], str] | None:
    colour = _STATE_COLOURS.get(str(row.get("state_type")))
    if colour is None or not session.coloured(sys.stdout):
        return None
    return lambda index, cell: f"\x1b[{colour}m{cell}\x1b[0m" if columns[index].title == "STATE" else cell


def _pairs(pairs: Sequence[tuple[str, str]]) -> None:
    if not sys.stdout.isatty():
        _write_lines(f"{key}\t{value}" for key, value in pairs)
        return
    width = max((len(key) for key, _ in pairs), default=0)
    _write_lines(f"{key.ljust(width)}  {value}".rstrip() for key, value in pairs)


def _dump(form: str, value: Any) -> None:
    if form == "json":
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    elif form == "jsonl":
        _write_lines(json.dumps(item, ensure_ascii=False, default=str) for item in value)
    else:
        import yaml

        sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False))


def _write_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
