"""Field types of blocks beyond those of pydantic."""

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, Secret, SerializationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from penstock.model.block_documents import MASK


class SecretDict(Secret[dict[str, Any]]):
    """A mapping whose values are secret. Its keys are shown, its values never; `get_secret_value()` gives it in clear."""

    def _display(self) -> str:
        return str(self.masked())

    def masked(self) -> dict[str, str]:
        """Its keys, each with a mask."""
        return dict.fromkeys(self.get_secret_value(), MASK)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_wrap_validator_function(
            cls._read,
            core_schema.dict_schema(core_schema.str_schema()),
            serialization=core_schema.plain_serializer_function_ser_schema(_to_show, info_arg=True),
        )

    @classmethod
    def _read(cls, value: Any, handler: Any) -> "SecretDict":
        return value if isinstance(value, SecretDict) else cls(handler(value))

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # Each value is a secret of its own, so that the keys can be shown and a single value can be changed.
        return {"type": "object", "additionalProperties": {"writeOnly": True, "format": "password"}}


def _to_show(value: Any, info: SerializationInfo) -> Any:
    return value.masked() if info.mode == "json" and isinstance(value, SecretDict) else value
