"""The block that every infrastructure derives from: what can be set whatever the platform."""

import importlib
import json
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, field_validator

from penstock import settings
from penstock.blocks.base import Block
from penstock.model.attempts import Limits
from penstock.model.base import JSONObject
from penstock.model.block_documents import MASK
from penstock.model.secret_texts import masked, names_a_secret

_LIMITS = Limits()


class Infrastructure(Block):
    """How to run a flow run's job. Derive from it for a platform, and give that platform a driver."""

    model_config = ConfigDict(allow_inf_nan=False)  # no document and no request of a platform can hold such numbers

    _block_is_base: ClassVar[bool] = True
    _block_schema_capabilities: ClassVar[list[str] | None] = ["run-infrastructure"]
    #: field -> what overrides find inside of it, where the block's own schema leaves that open
    _override_schemas: ClassVar[Mapping[str, JSONObject]] = {}
    #: the member of a request that is its preview, if that is not the whole
    _previewed: ClassVar[str | None] = None

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
        """This configuration as it may be kept and shown: secrets, variables named like secrets and passwords in URLs
        are masked.

        Variables are also found where platforms have them: as pairs of name and value, anywhere in a manifest.
        """
        found: JSONObject = masked(self.model_dump(mode="json"))
        return found

    def preview(self) -> str:
        """What would be sent to the platform as YAML, before anything of a run is known; secrets are masked.

        Ids, names and tokens stand for those to come; the API's address and the settings are those that are in force
        here. Raises Unsupported if the platform cannot do what is asked, ConfigurationError if nobody renders the type.
        """
        # by name: what renders knows this class
        previews = importlib.import_module("penstock.infrastructure.previews")
        text: str = previews.text_of(self, self._previewed)
        return text


def text_values(value: Any) -> Any:
    """A mapping with texts where YAML or JSON had numbers and booleans: an environment and labels know text only."""
    if isinstance(value, Mapping):
        return {k: str(v) if isinstance(v, bool | int | float) else v for k, v in value.items()}
    return value


def mask_if_secret(name: str, value: str | None) -> str | None:
    """The value of an environment variable as it may be shown: masked if its name says that it is a secret."""
    return MASK if value and names_a_secret(name) else value
