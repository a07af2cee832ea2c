"""What applying a deployment changes, as people and machines read it."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from penstock.cli.output import Column

if TYPE_CHECKING:
    from penstock.model.applying import DeploymentApplied, DeploymentChange, KeptValue

CHANGE_COLUMNS = [
    Column("DEPLOYMENT", "deployment"),
    Column("FIELD", "field"),
    Column("KIND", "kind"),
    Column("BEFORE", "before"),
    Column("AFTER", "after"),
    Column("LAST APPLIED", "last_applied", wide=True),
    Column("CHANGED ELSEWHERE", "changed_elsewhere"),
]
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def change_rows(name: str, changes: "Iterable[DeploymentChange]") -> list[dict[str, Any]]:
    """The changes of the deployment `name` as plain JSON."""
    return [{"deployment": name, **change.model_dump(mode="json")} for change in changes]


def lines_of(applied: "DeploymentApplied") -> list[str]:
    """What changes and what is kept, a line each."""
    return [*map(change_line, applied.changes), *map(kept_line, applied.kept)]


def change_line(change: "DeploymentChange") -> str:
    """A change as one line; its values are JSON."""
    if change.kind == "added":
        told = _text(change.after)
    elif change.kind == "removed":
        told = _text(change.before)
    else:
        told = f"{_text(change.before)} → {_text(change.after)}"
    line = f"  {_SIGNS[change.kind]} {change.field}: {told}"
    if change.changed_elsewhere:
        line += f"  (changed elsewhere; last applied: {_text(change.last_applied)})"
    return line


def kept_line(kept: "KeptValue") -> str:
    """What is not applied, because somebody has changed it elsewhere, as one line."""
    return f"  = {kept.field}: {_text(kept.live)} stays, changed elsewhere (--force: {_text(kept.given)})"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
