"""What stands in a state in place of a value that was written down: where it lies, and the value while it is kept."""

import importlib
from enum import Enum
from typing import Any, cast

from penstock.errors import RunError
from penstock.model.base import JSONObject

#: Of the files that are written now. References tell it; those of Prefect 2's clients, whose files differ, have none.
FORMAT = 1

#: Values that travel within the reference itself.
LITERALS = (None, True, False)


class _Absent(Enum):
    ABSENT = "absent"


#: In place of a value that is not in memory.
ABSENT = _Absent.ABSENT


class Result:
    """A value that was written down. `reference` says where it lies; it is what the server keeps of it.

    ``{"type": "literal", "value"}``, or ``{"type": "reference", "storage_block_id", "storage_key", "serializer_type",
    "format"}``; without a `storage_block_id` the key is the path of a file on the machine that wrote it.
    """

    __slots__ = ("__weakref__", "_value", "reference")

    def __init__(self, reference: JSONObject, value: Any = ABSENT) -> None:
        self.reference = reference
        self._value = value

    def get(self) -> Any:
        """The value: from memory if it is kept there, else read from where it lies, each time anew.

        Raises ResultError if it cannot be read, with the reason. Blocks.
        """
        return read_reference(self.reference) if self._value is ABSENT else self._value

    def has_cached_object(self) -> bool:
        """Whether the value is in memory."""
        return self._value is not ABSENT or self.reference.get("type") == "literal"

    def __repr__(self) -> str:
        where = self.reference.get("storage_key", self.reference.get("value"))
        return f"Result({self.reference.get('type')}: {where!r})"


class Reference(dict[str, Any]):
    """The data of a state that was read from the server: what `Result.reference` was there."""

    __slots__ = ()


def value_of(data: Any) -> Any:
    """The value that `data`, a state's, stands for. Raises what `read_reference` raises. May block."""
    if isinstance(data, Result):
        return data.get()
    return read_reference(data) if isinstance(data, Reference) else data


def is_literal(value: Any) -> bool:
    """Whether `value` travels within the reference. (Not by equality: 1 is no True.)"""
    return any(value is literal for literal in LITERALS)


def read_reference(reference: JSONObject) -> Any:
    """The value that `reference` leads to. Raises RunError if it was not kept, ResultError if it cannot be read."""
    kind = reference.get("type")
    if kind == "literal":
        return reference.get("value")
    if kind != "reference":
        raise RunError(
            "The result was not kept: it was known only to the process in which the run ran",
            hint="With persist_result=True, or PENSTOCK_RESULTS_PERSIST_BY_DEFAULT, results are written to storage.",
        )
    # What reads files and blocks stands above this layer, and is needed by few who read states.
    reading = importlib.import_module("penstock.results.reading")
    return cast(Any, reading).read(reference)
