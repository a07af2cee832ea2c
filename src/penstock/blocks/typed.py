"""What a block is made of: typed fields, a type with a slug, a JSON schema, and the data of its document."""

import inspect
import re
from typing import Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, Secret, SecretBytes, SecretStr, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, to_jsonable_python

from penstock.blocks import registry
from penstock.blocks.schema import describe
from penstock.errors import did_you_mean
from penstock.model.base import JSONObject

#: Key that a nested block's data carries where it is stored by value, so that the right class reads it again.
SLUG_KEY = "block_type_slug"


class TypedBlock(BaseModel):
    """A block without the server: `penstock.blocks.base.Block` adds saving and loading."""

    # Input is hidden from validation errors, because it may hold secrets.
    model_config = ConfigDict(extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = None
    _block_type_slug: ClassVar[str | None] = None
    _block_schema_version: ClassVar[str | None] = None
    _block_schema_capabilities: ClassVar[list[str] | None] = None
    _description: ClassVar[str | None] = None
    _logo_url: ClassVar[str | None] = None
    _documentation_url: ClassVar[str | None] = None
    _code_example: ClassVar[str | None] = None

    _block_document_id: UUID | None = None
    _block_document_name: str | None = None
    _is_anonymous: bool | None = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        registry.remember(cls)

    def model_post_init(self, _context: Any) -> None:
        super().model_post_init(_context)
        self.block_initialization()

    def block_initialization(self) -> None:
        """Runs after the fields are set; for subclasses that derive something from them."""

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, dict):
            slug = value.get(SLUG_KEY)
            if slug is not None and SLUG_KEY not in cls.model_fields:
                value = {key: item for key, item in value.items() if key != SLUG_KEY}
                found = cls if slug == cls.get_block_type_slug() else registry.find_block(slug)
                if found is not cls and issubclass(found, cls):
                    return found.model_validate(value)
            cls._refuse_unknown(value)
        return handler(value)

    @classmethod
    def _refuse_unknown(cls, value: JSONObject) -> None:
        known = set(cls.model_fields) | {field.alias for field in cls.model_fields.values() if field.alias}
        for name in value:
            if name not in known:
                raise ValueError(f"{cls.get_block_type_name()} has no field {name!r}.{did_you_mean(str(name), known)}")

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
    def get_block_schema_version(cls) -> str:
        if cls._block_schema_version:
            return cls._block_schema_version
        if cls.__module__.split(".")[0] != "penstock":
            return "non-versioned"
        from penstock.version import __version__

        return __version__

    @classmethod
    def get_description(cls) -> str | None:
        own = cls.__dict__.get("_description") or cls.__dict__.get("__doc__")
        return inspect.cleandoc(own) if own else None

    @classmethod
    def get_code_example(cls) -> str | None:
        return inspect.cleandoc(cls._code_example) if cls._code_example else None

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema.update(describe(cls))
        schema.pop("additionalProperties", None)
        return schema

    def to_document_data(self) -> JSONObject:
        """The fields as JSON, secrets in clear: what is saved. A nested block that was saved becomes a reference."""
        return {name: _to_json(getattr(self, name)) for name in type(self).model_fields}


def _to_json(value: Any) -> Any:
    if isinstance(value, TypedBlock):
        if value._block_document_id is not None:
            return {"$ref": {"block_document_id": str(value._block_document_id)}}
        return {**value.to_document_data(), SLUG_KEY: value.get_block_type_slug()}
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
