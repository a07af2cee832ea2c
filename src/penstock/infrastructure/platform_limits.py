"""Limits that a platform's own fields set: the names that users of Prefect 2 know, with the meaning of ours. Pure."""

from penstock.infrastructure.block import Infrastructure
from penstock.model.attempts import Limits


def with_platform_limits(limits: Limits, block: Infrastructure, *, start: str | None = None, run: str | None) -> Limits:
    """`limits` of `block`, with what its fields `start` and `run` say where the general fields leave it open.

    Documents hold every field, so what is equal to the default counts as not said: of `start_timeout`, and of the field
    `start`. The field `run` holds unless `run_timeout` is set.
    """
    changed: dict[str, float] = {}
    if start is not None and not _is_set(block, "start_timeout") and _is_set(block, start):
        changed["start"] = float(getattr(block, start))
    if run is not None and block.run_timeout is None and getattr(block, run) is not None:
        changed["run"] = float(getattr(block, run))
    return limits.model_copy(update=changed)


def _is_set(block: Infrastructure, field: str) -> bool:
    return bool(getattr(block, field) != type(block).model_fields[field].default)
