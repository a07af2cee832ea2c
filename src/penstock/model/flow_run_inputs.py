"""Inputs of flow runs: texts that somebody sends to a run under a key, for the run to read."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from penstock.model.base import Request, Stored
from penstock.model.filters import MAX_LIMIT

#: Most characters of a key.
LONGEST_KEY = 255


def check_input_key(key: str) -> str:
    """Return `key`, or raise ValueError unless it can be one segment of a path."""
    if not key or len(key) > LONGEST_KEY:
        raise ValueError(f"the key of an input has 1 to {LONGEST_KEY} characters, not {len(key)}")
    if "/" in key or not key.isprintable():
        raise ValueError(f"the key {key!r} of an input may hold neither '/' nor characters that cannot be printed")
    return key


InputKey = Annotated[str, AfterValidator(check_input_key)]


class FlowRunInput(Stored):
    """`value` is text, JSON by custom; `sender` names who sent it, e.g. ``penstock.flow-run.ID``."""

    flow_run_id: UUID
    key: str
    value: str
    sender: str | None = None


class FlowRunInputCreate(Request):
    """Body of ``POST /flow_runs/{id}/input``. `id`: chosen by the client, so that the request can be repeated."""

    id: UUID | None = None
    key: InputKey
    value: str
    sender: str | None = None


class FlowRunInputQuery(Request):
    """Body of ``POST /flow_runs/{id}/input/filter``: inputs whose keys begin with `prefix`, the oldest first."""

    prefix: str
    limit: int = Field(default=1, ge=0, le=MAX_LIMIT)
    exclude_keys: list[str] = Field(default_factory=list)
