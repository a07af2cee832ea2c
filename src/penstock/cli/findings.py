"""Findings of checks as they are printed: what was tried, whether it is right, what was said, what to do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.cli import output
from penstock.cli.errors import CheckFailed
from penstock.cli.output import Column
from penstock.cli.session import current

COLUMNS = [Column("CHECK", "tried"), Column("OK", "ok"), Column("SAID", "said"), Column("WHAT TO DO", "fix")]

#: So many of the findings are told once more below the table.
TOLD = 10


def emit(found: Sequence[Any]) -> None:
    """Print findings. Raises CheckFailed if something is wrong."""
    rows = [vars(finding) for finding in found]
    output.emit(current(), rows, COLUMNS, _tried)
    refuse(rows, _tried)


def refuse(rows: Sequence[Mapping[str, Any]], title: Callable[[Mapping[str, Any]], str]) -> None:
    """Raise CheckFailed if one of the findings is wrong, with what was said: a terminal may have cut it."""
    wrong = [row for row in rows if not row["ok"]]
    if not wrong:
        return
    told = [f"  {title(row)}: {row['said']}" for row in wrong[:TOLD]]
    told += [f"  and {len(wrong) - TOLD} more"] if len(wrong) > TOLD else []
    message = "\n".join([f"{len(wrong)} of {len(rows)} checks found something wrong.", *told])
    raise CheckFailed(message, hint=wrong[0]["fix"] or None)


def _tried(row: Mapping[str, Any]) -> str:
    return str(row["tried"])
