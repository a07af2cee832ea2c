"""Tables as people write them in Python, as JSON. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: A list of rows, each with its columns' names; columns by name; or rows without names.
Table = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | Sequence[Sequence[Any]]


def shaped(table: Any) -> Any:
    """`table` made of dictionaries and lists. Raises ValueError that names the place which has not the shape of a table."""
    if isinstance(table, Mapping):
        columns = {name: _items(column, f"table[{name!r}]") for name, column in table.items()}
        lengths = {len(column) for column in columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"the columns of the table have different lengths: {sorted(lengths)}")
        return columns
    return [_row(row, number) for number, row in enumerate(_items(table, "table"))]


def to_json(table: Any) -> str:
    """A shaped table as JSON. What JSON does not have becomes the nearest that it has: NaN null, the rest its text."""
    import pydantic_core

    return pydantic_core.to_json(table, inf_nan_mode="null", fallback=_plain).decode()


def _row(row: Any, number: int) -> Any:
    return dict(row) if isinstance(row, Mapping) else _items(row, f"table[{number}]")


def _items(value: Any, place: str) -> list[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ValueError(
            f"{place} is {value!r:.80}, which is no list: "
            "a table is a list of dictionaries, a dictionary of lists, or a list of lists"
        )
    return list(value)


def _plain(value: Any) -> Any:
    """A value that JSON does not have, as one that it has. Numbers of other libraries tell theirs by `item`."""
    try:
        # what equals nothing, not even itself, stands for a missing value, as NaN does
        return value.item() if value == value else None
    except Exception:
        return str(value)
