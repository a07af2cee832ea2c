"""States of runs as they are typed and shown."""

from collections.abc import Iterable
from typing import Any

from penstock.cli.errors import UsageProblem
from penstock.errors import nearest

TYPES = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "CANCELLED", "COMPLETED", "FAILED", "CRASHED")
#: Names that refine a type, and the types' own names; `penstock.model.transitions.NAMES` has them all, a test compares.
NAMES = (
    "Scheduled", "Late", "AwaitingRetry", "Resuming", "AwaitingConcurrencySlot", "Pending", "Launching", "Running",
    "Retrying", "Paused", "Suspended", "Cancelling", "Cancelled", "Skipped", "Completed", "Cached",
    "Failed", "TimedOut", "Crashed",
)  # fmt: skip
FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


def state_filter(names: Iterable[str], types: Iterable[str]) -> dict[str, Any] | None:
    """The part of a run filter that asks for states; None if none is asked for. Raises UsageProblem on unknown ones."""
    by_lower = {name.lower(): name for name in NAMES}
    wanted_names = [_known(name, by_lower, "state") for name in names]
    by_lower_type = {name.lower(): name for name in TYPES}
    wanted_types = [_known(name, by_lower_type, "state type") for name in types]
    parts: dict[str, Any] = {}
    if wanted_names:
        parts["name"] = {"any_": wanted_names}
    if wanted_types:
        parts["type"] = {"any_": wanted_types}
    return parts or None


def _known(name: str, known: dict[str, str], what: str) -> str:
    found = known.get(name.strip().lower())
    if found is None:
        close = nearest(name.lower(), known)
        meant = f" Did you mean {known[close]!r}?" if close else ""
        raise UsageProblem(f"There is no {what} {name!r}.{meant}", hint=f"One of: {', '.join(known.values())}.")
    return found
