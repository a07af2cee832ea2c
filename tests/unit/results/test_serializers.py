"""Whatever a serializer has written comes back as it was: equal, and of the same types."""

import dataclasses
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntFlag
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from penstock.errors import ConfigurationError
from penstock.results.json_objects import MARK, NoForm
from penstock.serializers import (
    CompressedJSONSerializer,
    CompressedSerializer,
    JSONSerializer,
    PickleSerializer,
    Serializer,
)

NAMES = ("pickle", "json", "compressed/pickle", "compressed/json")


class Colour(Enum):
    RED = "red"
    BLUE = ("b", 1)


class Rights(IntFlag):
    READ = 1
    WRITE = 2


Point = namedtuple("Point", "x y")


@dataclasses.dataclass(frozen=True, slots=True)
class Spot:
    at: Any
    tags: tuple[str, ...] = ()


class Order(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: int = Field(alias="no")
    due: datetime | None = None
    key: SecretStr = SecretStr("")
    parts: "list[Order]" = []
    _seen: set[int] = set()


class TwoArguments(Exception):
    """As many are written: what is passed on is not what is taken."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


def through(name: str, value: Any) -> Any:
    serializer: Any = Serializer(type=name)  # type: ignore[abstract]
    return serializer.loads(serializer.dumps(value))


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items(), strict=True))
    if isinstance(a, list | tuple | deque):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Spot):
        return same(a.at, b.at) and same(a.tags, b.tags)
    return bool(a == b) or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
exact = (
    plain
    | st.datetimes(timezones=st.none() | st.timezones() | st.just(UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from(Colour)
)
keys = st.text() | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), st.text()) | st.just(MARK)
values = st.recursive(
    exact,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner)
        | st.dictionaries(st.just(MARK) | st.just("data"), inner)
        | st.builds(Spot, inner)
        | st.sets(st.integers() | st.text()).map(frozenset)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("name", NAMES)
@given(value=values)
def test_whatever_is_written_comes_back_as_it_was(name: str, value: Any) -> None:
    assert same(through(name, value), value)


@pytest.mark.parametrize("name", ["pickle", "json"])
@pytest.mark.parametrize(
    "value",
    [
        datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=7))),
        time(1, 2, 3, 4, tzinfo=UTC),
        date.min,
        defaultdict(list, {(1, 2): [3]}),
        OrderedDict(b=1, a=2),
        Counter("abca"),
        deque([1, 2], maxlen=3),
        Rights.READ | Rights.WRITE,
        Point(1, (2, 3)),
        Fraction(1, 3),
        Decimal("1.10"),
        range(1, 9, 2),
        bytearray(b"\x00\xff"),
        Path("/tmp/x"),
        PurePosixPath("a/b"),
        ZoneInfo("Asia/Tokyo"),
        Order,
        UUID(int=7),
        SecretStr("geheim"),
        "\ud800 \x00",
        {MARK: "tuple", "data": [1]},
        {1: {2: {None: set()}}},
    ],
    ids=repr,
)
def test_these_come_back_as_they_were(name: str, value: Any) -> None:
    found = through(name, value)
    assert same(found, value)
    assert getattr(found, "tzinfo", None) == getattr(value, "tzinfo", None)
    assert getattr(found, "fold", 0) == getattr(value, "fold", 0)


@pytest.mark.parametrize("name", ["pickle", "json"])
def test_models_keep_aliases_extra_fields_private_ones_and_what_was_set(name: str) -> None:
    order = Order(no=1, key=SecretStr("k"), note=(1, 2), parts=[Order(no=2)])
    order._seen = {3}
    found = through(name, order)
    assert found == order
    assert found.key.get_secret_value() == "k"
    assert found.model_fields_set == order.model_fields_set
    assert (found._seen, found.note) == ({3}, (1, 2))


@pytest.mark.parametrize("name", ["json", "compressed/json"])
def test_json_brings_exceptions_back_with_arguments_and_attributes(name: str) -> None:
    error = TwoArguments(7, "no")
    error.add_note("seen at noon")
    found = through(name, error)
    assert (type(found), str(found), found.code, found.__notes__) == (TwoArguments, "7: no", 7, ["seen at noon"])
    missing = through(name, FileNotFoundError(2, "nothing there", "/x"))
    assert (type(missing), missing.errno, missing.args) == (FileNotFoundError, 2, (2, "nothing there"))


@pytest.mark.parametrize("value", [object(), lambda: 1, (x for x in ()), [{"a": object()}]], ids=range(4))
def test_json_refuses_what_would_not_come_back(value: Any) -> None:
    with pytest.raises(NoForm, match="JSON has no form for a"):
        JSONSerializer().dumps(value)


def test_json_refuses_a_class_that_nobody_could_import() -> None:
    @dataclasses.dataclass
    class Local:
        x: int = 1

    with pytest.raises(NoForm, match="can be imported"):
        JSONSerializer().dumps(Local())


def test_plain_json_stays_plain_json() -> None:
    assert JSONSerializer().dumps({"a": [1, "b", None]}) == b'{"a": [1, "b", null]}'
    assert JSONSerializer(dumps_kwargs={"indent": 1}).dumps([1]) == b"[\n 1\n]"


def encode_set(value: Any) -> Any:
    return {"set": sorted(value)}


def decode_set(found: dict[str, Any]) -> Any:
    return set(found["set"]) if "set" in found else found


def test_json_with_functions_of_ones_own() -> None:
    here = encode_set.__module__
    own = JSONSerializer(object_encoder=f"{here}.encode_set", object_decoder=f"{here}.decode_set")
    assert own.dumps({2, 1}) == b'{"set": [1, 2]}'
    assert own.loads(own.dumps([{1}])) == [{1}]
    bare = JSONSerializer(object_encoder=None, object_decoder=None)
    assert bare.loads(bare.dumps((1, 2))) == [1, 2]


class Repr(Serializer[Any]):
    type: Literal["repr"] = "repr"

    def dumps(self, obj: Any) -> bytes:
        return repr(obj).encode()

    def loads(self, blob: bytes) -> Any:
        return eval(blob.decode())


def test_a_serializer_of_ones_own_is_found_by_its_type() -> None:
    assert through("repr", {"a": 1}) == {"a": 1}
    squeezed = CompressedSerializer(serializer="repr", compressionlib="bz2")  # type: ignore[arg-type]
    assert squeezed.loads(squeezed.dumps([1] * 1000)) == [1] * 1000
    assert len(squeezed.dumps([1] * 1000)) < 200


@pytest.mark.parametrize("library", ["lzma", "zlib", "gzip", "bz2"])
def test_each_library_of_compression(library: str) -> None:
    serializer = CompressedJSONSerializer(compressionlib=library)
    value = {"id": str(uuid4()), "rows": [0] * 10_000}
    assert serializer.loads(serializer.dumps(value)) == value
    assert len(serializer.dumps(value)) < 1000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Serializer(type="jsno"), "no serializer 'jsno'. Did you mean 'json'?"),
        (lambda: CompressedSerializer(serializer="pikle"), "Did you mean 'pickle'?"),
        (lambda: PickleSerializer(picklelib="nopickle"), "picklelib is 'nopickle', which cannot be imported"),
        (lambda: PickleSerializer(picklelib="math"), "without the function dumps and loads"),
        (lambda: CompressedJSONSerializer(compressionlib="gzup"), "Did you mean 'gzip'?"),
        (lambda: JSONSerializer(dumps_kwargs={"default": str}), "that is what object_encoder is for"),
        (lambda: JSONSerializer(loads_kwargs={"object_hook": str}), "that is what object_decoder is for"),
        (lambda: JSONSerializer(object_encoder="nowhere.at_all"), "no function 'nowhere.at_all'"),
        (lambda: JSONSerializer(indent=1), "indent"),
    ],
)
def test_a_wrong_option_is_refused_where_it_is_written(make: Any, message: str) -> None:
    with pytest.raises((ConfigurationError, ValueError)) as caught:
        make()
    assert message in str(caught.value)


def test_the_pickler_notes_its_version() -> None:
    import cloudpickle

    assert PickleSerializer().picklelib_version == cloudpickle.__version__


def test_pickle_brings_functions_and_classes_that_are_in_no_module() -> None:
    factor = 3

    class Local:
        def times(self, x: int) -> int:
            return x * factor

    assert through("pickle", Local)().times(2) == 6
    assert through("pickle", lambda x: x + factor)(1) == 4
