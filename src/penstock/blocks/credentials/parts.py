"""What credentials have in common: parts that are no blocks of their own, and the way in which they are tried."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from penstock.errors import PenstockError, did_you_mean
from penstock.model.findings import Finding


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


def try_service(found: list[Finding], tried: str, ask: Callable[[], str]) -> list[Finding]:
    """`found`, and unless it holds a failure, what came of `ask`, which returns what to say of a success."""
    if not all(finding.ok for finding in found):
        return found
    try:
        return [*found, Finding(tried, True, ask())]
    except PenstockError as error:
        return [*found, Finding(tried, False, str(error), error.hint or "Correct the block's fields.")]
    except Exception as error:
        # The libraries of the platforms have no error in common.
        fix = "Correct the block's fields, or what they may do there."
        return [*found, Finding(tried, False, f"{type(error).__name__}: {error}", fix)]
