"""How results become bytes and come back. A serializer of your own is a subclass that says its `type`."""

import importlib
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from penstock.errors import ConfigurationError, did_you_mean
from penstock.results import json_objects

D = TypeVar("D")

#: type -> class, in the order of their definition
_known: "dict[str, type[Serializer[Any]]]" = {}

ENCODER = "penstock.serializers.penstock_json_object_encoder"
DECODER = "penstock.serializers.penstock_json_object_decoder"


class Serializer(BaseModel, ABC, Generic[D]):
    """Turns values into bytes (`dumps`) and back (`loads`).

    A subclass gives `type` a default, e.g. ``type: Literal["mine"] = "mine"``, and can then be named by it wherever a
    serializer is asked for. ``Serializer(type="json")`` is an instance of the class of that type.
    """

    model_config = ConfigDict(extra="forbid")

    type: str

    def __new__(cls, *_args: Any, **data: Any) -> Self:
        found = cls
        if cls is Serializer and "type" in data:
            found = cast("type[Self]", find_class(data["type"]))
        return super().__new__(found)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        name = cls.model_fields["type"].default
        if isinstance(name, str):
            _known[name] = cls

    @abstractmethod
    def dumps(self, obj: D) -> bytes:
        """`obj` as bytes. Raises whatever says that it cannot be written."""

    @abstractmethod
    def loads(self, blob: bytes) -> D:
        """What `dumps` was given."""


def find_class(name: str) -> "type[Serializer[Any]]":
    """The serializer class of that type. Raises ConfigurationError with the nearest name if there is none."""
    found = _known.get(name)
    if found is None:
        raise ConfigurationError(
            f"There is no serializer {name!r}.{did_you_mean(str(name), _known)}",
            code="unknown_serializer",
            hint=f"There are {', '.join(name for name in _known if name != 'compressed')}; import the module that defines one of your own.",
        )
    return found


def as_serializer(given: Any) -> "Serializer[Any]":
    """A serializer from itself, its type's name, or its fields. Raises ConfigurationError."""
    if isinstance(given, Serializer):
        return given
    if isinstance(given, str):
        given = {"type": given}
    if isinstance(given, dict) and isinstance(given.get("type"), str):
        try:
            return find_class(given["type"]).model_validate(given)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ConfigurationError(f"The serializer {given['type']!r} cannot be used: {wrong}") from None
    if isinstance(given, type) and issubclass(given, Serializer):
        raise ConfigurationError(
            f"The serializer is the class {given.__name__}; it must be an instance: {given.__name__}()"
        )
    raise ConfigurationError(
        f"{given!r} is no serializer",
        hint="Give the name of one, such as 'json', or an instance such as JSONSerializer().",
    )


def _module(name: str, option: str, *needed: str) -> ModuleType:
    """The importable module that `option` names, which must have the functions `needed`. Raises ValueError."""
    try:
        found = importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"{option} is {name!r}, which cannot be imported here: {error}") from None
    missing = [function for function in needed if not callable(getattr(found, function, None))]
    if missing:
        raise ValueError(f"{option} is {name!r}, a module without the function {' and '.join(missing)}")
    return found


class PickleSerializer(Serializer[Any]):
    """Nearly any Python object, functions and classes of notebooks and scripts included.

    `picklelib` is a module with `dumps` and `loads`; `picklelib_version` notes which version of it wrote. Reading
    runs code that the bytes name: read only what you trust.
    """

    type: Literal["pickle"] = "pickle"
    picklelib: str = "cloudpickle"
    picklelib_version: str | None = None

    @field_validator("picklelib")
    @classmethod
    def _check_picklelib(cls, name: str) -> str:
        _module(name, "picklelib", "dumps", "loads")
        return name

    @model_validator(mode="after")
    def _note_version(self) -> Self:
        if self.picklelib_version is None:
            self.picklelib_version = getattr(importlib.import_module(self.picklelib), "__version__", None)
        return self

    def dumps(self, obj: Any) -> bytes:
        return cast(bytes, importlib.import_module(self.picklelib).dumps(obj))

    def loads(self, blob: bytes) -> Any:
        return importlib.import_module(self.picklelib).loads(blob)


class JSONSerializer(Serializer[Any]):
    """JSON, in which what JSON has no form for is marked with its type, so that it comes back as it was.

    `jsonlib` is a module with `dumps` and `loads`. `object_encoder` and `object_decoder` are import paths of functions:
    the first is given what `jsonlib` cannot write, the second each object that was read; None: nothing but plain JSON.
    `dumps_kwargs`, `loads_kwargs` go to the module's functions.
    """

    type: Literal["json"] = "json"
    jsonlib: str = "json"
    object_encoder: str | None = ENCODER
    object_decoder: str | None = DECODER
    dumps_kwargs: dict[str, Any] = Field(default_factory=dict)
    loads_kwargs: dict[str, Any] = Field(default_factory=dict)

    _taken: ClassVar[dict[str, tuple[str, str]]] = {
        "dumps_kwargs": ("default", "object_encoder"),
        "loads_kwargs": ("object_hook", "object_decoder"),
    }

    @field_validator("jsonlib")
    @classmethod
    def _check_jsonlib(cls, name: str) -> str:
        _module(name, "jsonlib", "dumps", "loads")
        return name

    @model_validator(mode="after")
    def _check_kwargs(self) -> Self:
        for option, (taken, instead) in self._taken.items():
            if taken in getattr(self, option):
                raise ValueError(f"{option} may not hold {taken!r}: that is what {instead} is for")
        for path in (self.object_encoder, self.object_decoder):
            if path is not None and path not in (ENCODER, DECODER):
                _function(path)
        return self

    def dumps(self, obj: Any) -> bytes:
        kwargs = dict(self.dumps_kwargs)
        if self.object_encoder == ENCODER:
            obj = json_objects.encode(obj)
        elif self.object_encoder is not None:
            kwargs["default"] = _function(self.object_encoder)
        found = importlib.import_module(self.jsonlib).dumps(obj, **kwargs)
        return found.encode() if isinstance(found, str) else cast(bytes, found)

    def loads(self, blob: bytes) -> Any:
        kwargs = dict(self.loads_kwargs)
        if self.object_decoder == DECODER:
            kwargs["object_hook"] = json_objects.decode_object
        elif self.object_decoder is not None:
            kwargs["object_hook"] = _function(self.object_decoder)
        return importlib.import_module(self.jsonlib).loads(blob, **kwargs)


def _function(path: str) -> Any:
    """The function at the import path ``package.module.name``. Raises ValueError."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise ValueError(f"there is no function {path!r} that could be imported") from None


class CompressedSerializer(Serializer[Any]):
    """What `serializer` writes, compressed by the module `compressionlib`: lzma, zlib, gzip, bz2, or one like these."""

    type: Literal["compressed"] = "compressed"
    serializer: Annotated[Serializer[Any], BeforeValidator(as_serializer)]
    compressionlib: str = "lzma"

    @field_validator("compressionlib")
    @classmethod
    def _check_compressionlib(cls, name: str) -> str:
        try:
            _module(name, "compressionlib", "compress", "decompress")
        except ValueError as error:
            raise ValueError(f"{error}.{did_you_mean(name, ('lzma', 'zlib', 'gzip', 'bz2'))}") from None
        return name

    def dumps(self, obj: Any) -> bytes:
        return cast(bytes, importlib.import_module(self.compressionlib).compress(self.serializer.dumps(obj)))

    def loads(self, blob: bytes) -> Any:
        return self.serializer.loads(importlib.import_module(self.compressionlib).decompress(blob))


class CompressedPickleSerializer(CompressedSerializer):
    """`PickleSerializer`, compressed."""

    type: Literal["compressed/pickle"] = "compressed/pickle"  # type: ignore[assignment]
    serializer: Annotated[Serializer[Any], BeforeValidator(as_serializer)] = Field(default_factory=PickleSerializer)


class CompressedJSONSerializer(CompressedSerializer):
    """`JSONSerializer`, compressed."""

    type: Literal["compressed/json"] = "compressed/json"  # type: ignore[assignment]
    serializer: Annotated[Serializer[Any], BeforeValidator(as_serializer)] = Field(default_factory=JSONSerializer)
