"""One request to the API and the type of its answer, as a value: built by the noun modules, sent by a client."""

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Generic, TypeVar, cast
from urllib.parse import quote, urlencode
from uuid import UUID

T = TypeVar("T")

#: Types of answers that need no validation beyond being JSON.
_PLAIN = (bool, int, float, str, dict, list)


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is read from a file while it is sent. `open` is called for each try."""

    open: Callable[[], BinaryIO]
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request that nobody has sent yet. `send` of a client sends it and returns a `T`.

    `path` is relative to the API's root and already quoted. `answer` names the answer's type when it is needed, so that
    building a call imports no model. `body` may be an `Upload`. `receive` reads an answer that is too large to be held: it
    gets the response of `http.client`, reads it, and what it returns is the call's answer; where the connection breaks under
    it, it is called again with another response. `patience` is how many seconds beyond the usual timeout the server may take to
    answer: a long poll. `repeatable`: asking twice does no harm, so that it may be asked again after an answer
    was lost. `partial`: only fields that were given are sent, and None is a value; otherwise None means "not given".
    """

    method: str
    path: str
    answer: Callable[[], type[T]]
    body: "Any | Upload" = None
    query: Mapping[str, str] | None = None
    patience: float = 0.0
    repeatable: bool = True
    partial: bool = False
    receive: Callable[[Any], T] | None = None

    @property
    def target(self) -> str:
        """Path and query, relative to the API's root."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


def nothing() -> type[None]:
    """The answer's type of calls that tell nothing."""
    return type(None)


def whole_number() -> type[int]:
    """The answer's type of counts."""
    return int


class Text(str):
    """An answer that is plain text instead of JSON."""

    __slots__ = ()


def plain_text() -> type[Text]:
    """The answer's type of calls that are answered in plain text."""
    return Text


def json_object() -> type[dict[str, Any]]:
    """The answer's type of calls whose answer has no fixed shape."""
    return dict


def any_json() -> type[Any]:
    """The answer's type of raw requests."""
    return object


def segment(value: UUID | str) -> str:
    """`value` as one segment of a path."""
    return quote(str(value), safe="")


def given(**values: Any) -> dict[str, Any]:
    """Those of `values` that are not None: the body of a filter."""
    return {key: value for key, value in values.items() if value is not None}


def encode(body: Any, *, partial: bool = False) -> bytes | None:
    """`body` as JSON. None stays None, no body at all; bytes stay as they are: JSON that somebody else has written."""
    if body is None or isinstance(body, bytes):
        return body
    if hasattr(body, "model_dump_json"):
        return cast(str, body.model_dump_json(exclude_unset=partial, exclude_none=not partial)).encode()
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError):
        from pydantic_core import to_json

        return to_json(body, inf_nan_mode="null")


def decode(raw: bytes, kind: type[T]) -> T:
    """`raw` as a `kind`. Raises ValueError if it does not fit."""
    value: Any = None
    if kind is object:
        value = json.loads(raw) if raw else None
    elif kind is Text:
        value = Text(raw.decode())
    elif kind in _PLAIN:
        value = json.loads(raw)
        if not isinstance(value, kind):
            raise ValueError(f"expected {kind.__name__}, got {raw[:80]!r}")
    elif kind is not type(None):
        value = _validator(cast(Hashable, kind))(raw)
    return cast(T, value)


@lru_cache(maxsize=128)
def _validator(kind: Any) -> Callable[[bytes], Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_json
