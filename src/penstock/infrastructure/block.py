"""The block that every infrastructure derives from: what can be set whatever the platform."""

import json
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from penstock import settings
from penstock.blocks.base import Block
from penstock.errors import Unsupported
from penstock.model.attempts import Limits
from penstock.model.base import JSONObject
from penstock.model.block_documents import MASK
from penstock.model.secret_texts import names_a_secret

_LIMITS = Limits()


class Infrastructure(Block):
    """How to run a flow run's job. Derive from it for a platform, and give that platform a driver."""

    _block_is_base: ClassVar[bool] = True
    _block_schema_capabilities: ClassVar[list[str] | None] = ["run-infrastructure"]
    #: field -> what overrides find inside of it, where the block's own schema leaves that open
    _override_schemas: ClassVar[Mapping[str, JSONObject]] = {}

    type: str = Field(description="The type of infrastructure.")
    env: dict[str, str | None] = Field(
        default_factory=dict,
        title="Environment",
        description="Environment variables of the job. They win over all others; null removes a variable.",
    )
    labels: dict[str, str] = Field(default_factory=dict, description="Labels of the job, for people and tools.")
    name: str | None = Field(default=None, description="What the job is called; by default the flow run's name.")
    command: list[str] | None = Field(
        default=None, description="The command that starts the flow run. By default Penstock's own engine."
    )
    start_timeout: float | None = Field(
        default=_LIMITS.start,
        gt=0,
        description="Seconds from the claim of a run to its first user code. Null: no limit.",
    )
    run_timeout: float | None = Field(
        default=_LIMITS.run, gt=0, description="Seconds that user code may run. Null: no limit."
    )
    cancel_timeout: float = Field(
        default=_LIMITS.cancel, gt=0, description="Seconds that a stop may take beyond the grace, until it is forced."
    )
    grace_seconds: float = Field(
        default=_LIMITS.grace, ge=0, description="Seconds between the polite stop of a job and the forced one."
    )

    @field_validator("env", "labels", mode="before")
    @classmethod
    def _text_values(cls, value: Any) -> Any:
        return text_values(value)

    @field_validator("command", mode="before")
    @classmethod
    def _split_command(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return shlex.split(value)

    def limits(self) -> Limits:
        """This block's limits, in seconds; the start limit that was not set is the setting's.

        A saved block holds every field: one that has the default counts as not set.
        """
        start = self.start_timeout
        if start == _LIMITS.start:
            start = settings.get("PENSTOCK_ATTEMPT_START_LIMIT")
        return Limits(start=start, run=self.run_timeout, cancel=self.cancel_timeout, grace=self.grace_seconds)

    def snapshot(self) -> JSONObject:
        """This configuration as it may be kept and shown: secrets, and variables named like secrets, are masked.

        Variables are also found where platforms have them: as pairs of name and value, anywhere in a manifest.
        """
        found: JSONObject = _without_secret_pairs(self.model_dump(mode="json"))
        found["env"] = {name: mask_if_secret(name, value) for name, value in self.env.items()}
        return found

    def preview(self) -> str:
        """What would be sent to the platform, as text, before anything of a run is known.

        Raises Unsupported for types that do not have it; `penstock infrastructure render` shows the request of all.
        """
        slug = self.get_block_type_slug()
        raise Unsupported(
            f"A block of type {slug} has no preview of its own.",
            hint=f"Save it, and see the whole request: penstock infrastructure render {slug}/NAME",
        )


def text_values(value: Any) -> Any:
    """A mapping with texts where YAML or JSON had numbers and booleans: an environment and labels know text only."""
    if isinstance(value, Mapping):
        return {k: str(v) if isinstance(v, bool | int | float) else v for k, v in value.items()}
    return value


def mask_if_secret(name: str, value: str | None) -> str | None:
    """The value of an environment variable as it may be shown: masked if its name says that it is a secret."""
    return MASK if value and names_a_secret(name) else value


def _without_secret_pairs(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secret_pairs(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _without_secret_pairs(item) for key, item in value.items()}
    name, content = found.get("name"), found.get("value")
    if isinstance(name, str) and isinstance(content, str):
        found["value"] = mask_if_secret(name, content)
    return found
