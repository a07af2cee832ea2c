"""Python values as JSON that turns back into equal values of the same types. Pure.

What JSON has no form for becomes an object with two keys: `MARK`, the name of its kind, and ``data``. Text, whole
numbers, floats and collections of a class derived from the built-in one are written as the built-in one.
"""

import dataclasses
import importlib
from base64 import b64decode, b64encode
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, SecretBytes, SecretStr

from penstock.model.results import Reference, Result

MARK = "__penstock__"

Encode = Callable[[Any], Any]

_PLAIN = frozenset({str, int, float, bool, type(None)})
_BUILT_IN: tuple[Any, ...] = (str, int, float, list, dict, tuple, set, frozenset, bytes)


class NoForm(TypeError):
    """There is no JSON from which the value would come back. `value` is the innermost one for which that is so."""

    def __init__(self, message: str, value: Any) -> None:
        super().__init__(message)
        self.value = value


def encode(value: Any) -> Any:
    """`value` as plain JSON values. Raises NoForm, or RecursionError if it holds itself."""
    if type(value) in _PLAIN:
        return value
    found = encode_known(value, encode)
    if found is None:
        raise NoForm(f"JSON has no form for a {type(value).__module__}.{type(value).__qualname__}", value)
    return found


def encode_known(value: Any, inner: Encode) -> Any:
    """`value` as plain JSON values, those within it by `inner`; None for one that there is no form for, and for None."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [inner(item) for item in value]
    if kind is dict:
        return _mapping(value, inner)
    write = _WRITERS.get(kind)
    if write is not None:
        return _marked(_NAMES[kind], write(value, inner))
    return _instance(value, inner)


def _marked(name: str, data: Any) -> dict[str, Any]:
    return {MARK: name, "data": data}


def _mapping(value: dict[Any, Any], inner: Encode) -> Any:
    if MARK not in value and all(type(key) is str for key in value):
        return {key: inner(item) for key, item in value.items()}
    return _marked("dict", _pairs(value, inner))


def _pairs(value: dict[Any, Any], inner: Encode) -> list[Any]:
    return [[inner(key), inner(item)] for key, item in value.items()]


def _items(value: Iterable[Any], inner: Encode) -> list[Any]:
    return [inner(item) for item in value]


def _instance(value: Any, inner: Encode) -> Any:
    """An object whose class decides on its form."""
    if isinstance(value, Enum):
        return _marked("enum", [_path(type(value)), inner(value.value)])
    if isinstance(value, BaseModel):
        return _marked("model", [_path(type(value)), inner(_model_state(value))])
    if isinstance(value, BaseException):
        own = {name: item for name, item in vars(value).items() if not name.startswith("_penstock_")}
        return _marked("exception", [_path(type(value)), _items(value.args, inner), inner(own)])
    if isinstance(value, type):
        return _marked("class", _path(value))
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if _has(value, field)}
        return _marked("dataclass", [_path(type(value)), inner(fields)])
    if isinstance(value, PurePath):
        return _marked("path", [_path(type(value)), str(value)])
    if isinstance(value, tuple) and hasattr(type(value), "_fields"):
        return _marked("namedtuple", [_path(type(value)), _items(value, inner)])
    return _as_built_in(value, inner)


def _as_built_in(value: Any, inner: Encode) -> Any:
    """An object of a class derived from a built-in one, as that; None if it is not of such a class."""
    if isinstance(value, datetime):
        return encode_known(datetime.combine(value.date(), value.timetz()), inner)
    for plain in _BUILT_IN:
        if isinstance(value, plain):
            return encode_known(plain(value), inner)
    return None


def _has(value: Any, field: Any) -> bool:
    return hasattr(value, field.name)


def _model_state(value: BaseModel) -> dict[str, Any]:
    """What pydantic pickles of a model; `fields_set` and what is absent are in an order and form that do not change."""
    state = value.__getstate__()
    return {
        "values": state["__dict__"],
        "extra": state["__pydantic_extra__"],
        "set": sorted(state["__pydantic_fields_set__"]),
        "private": state["__pydantic_private__"],
    }


def _path(kind: type) -> str:
    """Where the class is found again. Raises NoForm if it is not found there now."""
    path = f"{kind.__module__}:{kind.__qualname__}"
    try:
        found = find_class(path)
    except (ImportError, AttributeError):
        found = None
    if found is not kind:
        raise NoForm(
            f"JSON can name only classes that can be imported, which {kind.__module__}.{kind.__qualname__} is not", kind
        )
    return path


def find_class(path: str) -> Any:
    """The class at ``module:qualified.name``. Raises ImportError, AttributeError."""
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _datetime(value: datetime, inner: Encode) -> list[Any]:
    zone = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
    _check_zone(value)
    return [value.isoformat(), zone, value.fold]


def _check_zone(value: datetime | time) -> None:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise NoForm("JSON has no form for a time in a zone that does not say its distance to UTC", value)


def _time(value: time, _inner: Encode) -> list[Any]:
    _check_zone(value)
    return [value.isoformat(), value.fold]


def _read_datetime(data: list[Any]) -> datetime:
    text, zone, fold = data
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=ZoneInfo(zone) if zone else found.tzinfo, fold=fold)


def _binary(value: Any, _inner: Encode) -> str:
    return b64encode(value).decode()


def _text(value: Any, _inner: Encode) -> str:
    return str(value)


def _read_model(data: list[Any]) -> Any:
    path, state = data
    kind = find_class(path)
    found = kind.__new__(kind)
    found.__setstate__(
        {
            "__dict__": state["values"],
            "__pydantic_extra__": state["extra"],
            "__pydantic_fields_set__": set(state["set"]),
            "__pydantic_private__": state["private"],
        }
    )
    return found


def _read_dataclass(data: list[Any]) -> Any:
    path, fields = data
    kind = find_class(path)
    found = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(found, name, value)
    return found


def _read_exception(data: list[Any]) -> Any:
    path, args, attributes = data
    kind = find_class(path)
    try:
        found = kind(*args)
    except Exception:
        found = kind.__new__(kind, *args)  # its own __init__ wants something else than what it passed on
    found.args = tuple(args)
    vars(found).update(attributes)
    return found


#: name of the kind, its class if that is one, how its data is written, how it is read
_KINDS: list[tuple[str, type | None, Callable[[Any, Encode], Any] | None, Callable[[Any], Any]]] = [
    ("tuple", tuple, _items, tuple),
    ("set", set, _items, set),
    ("frozenset", frozenset, _items, frozenset),
    ("deque", deque, lambda v, inner: [_items(v, inner), v.maxlen], lambda data: deque(data[0], data[1])),
    ("dict", None, None, dict),
    ("ordered", OrderedDict, _pairs, OrderedDict),
    ("counter", Counter, _pairs, lambda data: Counter(dict(data))),
    (
        "defaultdict",
        defaultdict,
        lambda v, inner: [inner(v.default_factory), _pairs(v, inner)],
        lambda data: defaultdict(data[0], data[1]),
    ),
    ("bytes", bytes, _binary, b64decode),
    ("bytearray", bytearray, _binary, lambda data: bytearray(b64decode(data))),
    ("complex", complex, lambda v, _: [v.real, v.imag], lambda data: complex(*data)),
    ("decimal", Decimal, _text, Decimal),
    ("fraction", Fraction, _text, Fraction),
    ("range", range, lambda v, _: [v.start, v.stop, v.step], lambda data: range(*data)),
    ("uuid", UUID, _text, UUID),
    ("datetime", datetime, _datetime, _read_datetime),
    ("date", date, lambda v, _: v.isoformat(), date.fromisoformat),
    ("time", time, _time, lambda data: time.fromisoformat(data[0]).replace(fold=data[1])),
    ("timedelta", timedelta, lambda v, _: [v.days, v.seconds, v.microseconds], lambda data: timedelta(*data)),
    ("zone", ZoneInfo, lambda v, _: v.key, ZoneInfo),
    ("secret", SecretStr, lambda v, _: v.get_secret_value(), SecretStr),
    (
        "secret bytes",
        SecretBytes,
        lambda v, _: b64encode(v.get_secret_value()).decode(),
        lambda data: SecretBytes(b64decode(data)),
    ),
    ("result", Result, lambda v, _: v.reference, Result),
    ("reference", Reference, lambda v, _: dict(v), Reference),
    ("enum", None, None, lambda data: find_class(data[0])(data[1])),
    ("model", None, None, _read_model),
    ("dataclass", None, None, _read_dataclass),
    ("exception", None, None, _read_exception),
    ("class", None, None, find_class),
    ("path", None, None, lambda data: find_class(data[0])(data[1])),
    ("namedtuple", None, None, lambda data: find_class(data[0])(*data[1])),
]
_NAMES = {kind: name for name, kind, _, _ in _KINDS if kind is not None}
_WRITERS = {kind: write for _, kind, write, _ in _KINDS if kind is not None and write is not None}
_READERS = {name: read for name, _, _, read in _KINDS}


def decode_object(found: dict[str, Any]) -> Any:
    """What an object that was read stands for, those within it having been decoded: itself, unless it is marked."""
    name = found.get(MARK)
    if name is None or len(found) != 2:
        return found
    read = _READERS.get(name)
    if read is None:
        raise ValueError(f"there is no kind of value {name!r}: a newer version has written this")
    return read(found["data"])
