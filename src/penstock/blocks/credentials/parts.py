"""A part of a block that is no block of its own: typed fields that refuse what they do not know."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from penstock.errors import did_you_mean


class Part(BaseModel):
    """Fields that several blocks have in common. It is saved with the block that holds it."""

    # Input is hidden from validation errors, because it may hold secrets.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for name in value:
                if name not in cls.model_fields:
                    raise ValueError(
                        f"{cls.__name__} has no field {name!r}.{did_you_mean(str(name), cls.model_fields)}"
                    )
        return value
