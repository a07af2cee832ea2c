"""What a block is made of: typed fields, a type with a slug, a JSON schema, and the data of its document."""

import inspect
import re
from typing import Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, Secret, SecretBytes, SecretStr, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, to_jsonable_python

from penstock.blocks import docstrings, registry, versions
from penstock.blocks.definition import check_definition
from penstock.blocks.schema import describe
from penstock.errors import ConfigurationError, did_you_mean
from penstock.model.base import JSONObject

#: Key that a nested block's data carries where it is stored by value, so that the right class reads it again.
SLUG_KEY = "block_type_slug"
#: Key of the version that a nested block's data has, where that is not 1.
VERSION_KEY = "block_schema_version"
#: Keys that say where a nested block is saved, and the private attributes that keep it.
ORIGIN_KEYS = ("_block_document_id", "_block_document_name", "_is_anonymous")
_SAID = (SLUG_KEY, VERSION_KEY, *ORIGIN_KEYS)


class TypedBlock(BaseModel):
    """A block without the server: `penstock.blocks.base.Block` adds saving and loading."""

    # Input is hidden from validation errors, because it may hold secrets.
    model_config = ConfigDict(extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = None
    _block_type_slug: ClassVar[str | None] = None
    _block_schema_version: ClassVar[int | str | None] = None
    _block_schema_capabilities: ClassVar[list[str] | None] = None
    #: True on a class that only others derive from: it is no type of its own, and nothing can be saved as it.
    _block_is_base: ClassVar[bool] = True
    _description: ClassVar[str | None] = None
    _logo_url: ClassVar[str | None] = None
    _documentation_url: ClassVar[str | None] = None
    _code_example: ClassVar[str | None] = None
    _migrations: ClassVar[dict[int, versions.Migration]] = {}

    _block_document_id: UUID | None = None
    _block_document_name: str | None = None
    _block_schema_id: UUID | None = None
    _block_type_id: UUID | None = None
    _is_anonymous: bool | None = None
    #: Of a copy whose references are resolved: the block as it was written.
    _written: "TypedBlock | None" = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        check_definition(cls, _KNOWN)
        cls._migrations = versions.migrations_of(cls)
        registry.remember(cls)

    def model_post_init(self, _context: Any) -> None:
        super().model_post_init(_context)
        self.block_initialization()

    def block_initialization(self) -> None:
        """Runs after the fields are set; for subclasses that derive something from them."""

    def __eq__(self, other: object) -> bool:
        """Blocks of one type with equal fields are equal, wherever they are saved."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr_args__(self) -> Any:
        # What a reference stands for may be secret although its field is not: it is never shown.
        return super().__repr_args__() if self._written is None else self._written.__repr_args__()

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, dict):
            found = cls._class_for(value)
            if found is not cls:
                return found.model_validate(value)
            if cls.is_base():
                raise ValueError(f"which type of {cls.__name__} is meant? {SLUG_KEY!r} has to say it.")
            data = cls._bring_up_to_date(value)
            cls._refuse_unknown(data)
            return handler(data)._from(value)
        elif isinstance(value, TypedBlock) and not isinstance(value, cls):
            raise ValueError(f"its type has to be {cls.get_block_type_name()}, not {value.get_block_type_name()}.")
        return handler(value)

    @classmethod
    def _class_for(cls, value: JSONObject) -> type[Self]:
        """The class that `value` asks for with its slug: this one, or one that derives from it."""
        slug = value.get(SLUG_KEY)
        if slug is None or SLUG_KEY in cls.model_fields or (slug == cls.get_block_type_slug() and not cls.is_base()):
            return cls
        found = registry.find_block(str(slug))
        if not issubclass(found, cls):
            raise ValueError(f"its type has to be {cls.get_block_type_slug()!r}, not {slug!r}.")
        return found

    @classmethod
    def _bring_up_to_date(cls, value: JSONObject) -> JSONObject:
        """The fields in `value` as this version of the class knows them, without what is said about them."""
        about = {key for key in _SAID if key in value and key not in cls.model_fields}
        if not about:
            return value
        data = {key: item for key, item in value.items() if key not in about}
        return cls.upgrade_data(data, value[VERSION_KEY]) if VERSION_KEY in about else data

    def _from(self, value: JSONObject) -> Self:
        """This block, which knows where it is saved if `value` says so."""
        if value.get("_block_document_id") is not None:
            self._block_document_id = UUID(str(value["_block_document_id"]))
            self._block_document_name = value.get("_block_document_name")
            self._is_anonymous = bool(value.get("_is_anonymous"))
        return self

    @classmethod
    def upgrade_data(cls, data: JSONObject, version: Any) -> JSONObject:
        """Data that was saved by that version of this class, as data of this version: its migrations, one after another.

        `version` may be that of a schema: a text that is no whole number means 1. Raises ConfigurationError if the data is
        newer than the class, or no migration leads from there to here.
        """
        saved, current = versions.data_version(version), versions.data_version(cls._block_schema_version)
        if saved == current:
            return data
        package = registry.package_of(cls) if saved > current else None
        return versions.upgrade(data, saved, current, cls._migrations, (cls.get_block_type_slug(), package))

    @classmethod
    def _refuse_unknown(cls, value: JSONObject) -> None:
        known = set(cls.model_fields) | {field.alias for field in cls.model_fields.values() if field.alias}
        for name in value:
            if name not in known:
                near = did_you_mean(str(name), known.union(_SAID))
                raise ValueError(f"{cls.get_block_type_name()} has no field {name!r}.{near}")

    @classmethod
    def get_block_type_name(cls) -> str:
        """What people call the type, e.g. "Local File System"."""
        return str(cls.__dict__.get("_block_type_name") or cls.__name__)

    @classmethod
    def get_block_type_slug(cls) -> str:
        """Names the type in the API, e.g. "local-file-system": from the type's name unless the class says otherwise."""
        if cls.__dict__.get("_block_type_slug"):
            return str(cls.__dict__["_block_type_slug"])
        name = cls.__dict__.get("_block_type_name") or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__)
        return re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")

    @classmethod
    def get_block_capabilities(cls) -> frozenset[str]:
        """What blocks of this type can do, e.g. "run-infrastructure": its own and those of its base classes."""
        found: set[str] = set()
        for base in cls.__mro__:
            found |= set(base.__dict__.get("_block_schema_capabilities") or ())
        return frozenset(found)

    @classmethod
    def is_base(cls) -> bool:
        """Whether only others derive from this class: it is abstract, or says so."""
        return bool(vars(cls).get("_block_is_base")) or inspect.isabstract(cls)

    @classmethod
    def get_block_schema_version(cls) -> str:
        """The version that schemas of this class have on the server."""
        if cls._block_schema_version is not None:
            return str(cls._block_schema_version)
        if cls.__module__.split(".")[0] != "penstock":
            return "non-versioned"
        from penstock.version import __version__

        return __version__

    @classmethod
    def get_description(cls) -> str | None:
        """What the type is: `_description`, or the docstring without its sections."""
        own = cls.__dict__.get("_description")
        return inspect.cleandoc(own) if own else docstrings.description(cls.__dict__.get("__doc__"))

    @classmethod
    def get_code_example(cls) -> str | None:
        """How the type is used: `_code_example`, or the section "Example:" of the docstring."""
        if cls._code_example:
            return inspect.cleandoc(cls._code_example)
        return docstrings.example(cls.__dict__.get("__doc__"))

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema.update(describe(cls))
        if "description" in schema:
            schema["description"] = cls.get_description() or schema["description"]
        schema.pop("additionalProperties", None)
        return schema

    def to_document_data(self) -> JSONObject:
        """The fields as JSON, secrets in clear: what is saved. A nested block that was saved becomes a reference.

        Raises ConfigurationError for a copy whose references are resolved: what they stand for is not to be kept.
        """
        if self._written is not None:
            raise ConfigurationError(
                f"This {self.get_block_type_name()} block is a copy with its references resolved, which is never saved.",
                hint="Save the block that it was made from.",
            )
        return {name: _to_json(getattr(self, name)) for name in type(self).model_fields}


def _to_json(value: Any) -> Any:
    if isinstance(value, TypedBlock):
        if value._block_document_id is not None:
            return {"$ref": {"block_document_id": str(value._block_document_id)}}
        version = versions.data_version(value._block_schema_version)
        about: JSONObject = {SLUG_KEY: value.get_block_type_slug()} | ({VERSION_KEY: version} if version != 1 else {})
        return {**value.to_document_data(), **about}
    if isinstance(value, SecretStr | Secret):
        return _to_json(value.get_secret_value())
    if isinstance(value, SecretBytes):
        return value.get_secret_value().decode()
    if isinstance(value, BaseModel):
        return {name: _to_json(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(to_jsonable_python(key)): _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_json(item) for item in value]
    return to_jsonable_python(value)


#: What the block system reads off a class or writes to a block, by its reserved names.
_KNOWN = frozenset(name for name in vars(TypedBlock) if name.startswith("_block_")) | {
    "_block_document_id",
    "_block_document_name",
    "_block_schema_id",
    "_block_type_id",
}
