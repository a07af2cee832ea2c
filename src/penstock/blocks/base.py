"""Block: configuration that is typed, named, saved on the server, and loaded wherever a flow runs."""

from collections.abc import Callable
from typing import Any, ClassVar, Self
from uuid import UUID

from penstock.blocks import documents, references, registration, registry, versions
from penstock.blocks.typed import TypedBlock
from penstock.model.base import JSONObject
from penstock.model.findings import Finding


class Block(TypedBlock):
    """Derive from it, declare fields as in any pydantic model, and it can be saved and loaded by name.

    A field of type `SecretStr` is kept sealed by the server and shown only as a mask. A field may hold another block:
    one that was saved is stored as a reference, any other by value. Unknown fields are refused with the nearest name.

    Saving and loading talk to the server and block the thread; `asave`, `aload`, `adelete` do the same for async code.
    """

    _block_is_base: ClassVar[bool] = True

    @property
    def block_id(self) -> UUID | None:
        """The id of the document that it was saved to or loaded from."""
        return self._block_document_id

    @property
    def block_name(self) -> str | None:
        """The name that it was saved or loaded under."""
        return self._block_document_name

    @staticmethod
    def migrates(from_version: int) -> Callable[[versions.Migration], Any]:
        """Marks a function that turns data of version `from_version` of the class into data of the version after it.

        The function gets the document's data as JSON, secrets in clear, and returns the new one. It looks at nothing else.
        """
        return versions.migrates(from_version)

    @staticmethod
    def from_document(slug: str, data: JSONObject) -> "Block":
        """The block whose type is `slug` and whose document holds `data`, with secrets in clear.

        Raises ConfigurationError if no class of that slug is installed, ValidationError if the data does not fit it.
        """
        block: Block = registry.find_block(slug).model_validate(data)
        return block

    @staticmethod
    def is_block_class(value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, Block)

    @classmethod
    def get_block_class_from_key(cls, key: str) -> type[Self]:
        """The class of that slug. Raises ConfigurationError with the nearest slug if there is none."""
        found: type[Self] = registry.find_block(key)
        return found

    @classmethod
    def get_block_class_from_schema(cls, schema: Any) -> type[Self]:
        """The class that a `BlockSchema` of the server describes. Raises ConfigurationError."""
        return cls.get_block_class_from_key(str(schema.fields.get("block_type_slug")))

    @classmethod
    def register_type_and_schema(cls) -> tuple[UUID, UUID]:
        """Make the server know this class and those of its blocks. Returns the ids of its type and its schema."""
        return registration.register(cls)

    def save(self, name: str | None = None, overwrite: bool = False) -> UUID:
        """Save under `name` and return the document's id; without a name, under the one it was saved or loaded with.

        Raises Conflict if the name is taken and `overwrite` is False.
        """
        return documents.save(self, name, overwrite)

    def _save(self, name: str | None = None, is_anonymous: bool = False, overwrite: bool = False) -> UUID:
        """`save`, or, if `is_anonymous`, save it without a name, so that it can be loaded by the id that is returned."""
        return documents.save_anonymous(self) if is_anonymous else documents.save(self, name, overwrite)

    @classmethod
    def load(cls, name: str, validate: bool = True) -> Self:
        """The block of this class that was saved as `name`; ``Block.load("slug/name")`` for one of any class.

        Data of an older version of the class is brought up to date. With `validate` False, data that does not fit the class
        is taken as far as it does: what cannot be read is as it was saved, what is missing is None or the default.

        Raises NotFound, with the nearest name if there is one; ConfigurationError that names the block and the field if the
        document cannot be understood here.
        """
        return documents.load(cls, name, validate)

    @classmethod
    def delete(cls, name: str) -> None:
        """Delete the saved block of that name. Raises NotFound, or Conflict while something refers to it."""
        documents.delete(cls, name)

    def check(self) -> list[Finding]:
        """Try whether it can be used from here, without changing anything. Raises nothing: what failed is a finding.

        Every block tries its fields and what they refer to. A subclass adds what it can try: credentials, permissions,
        whether the other side can be reached: ``return [*super().check(), Finding(…)]``.
        """
        return references.check(self)

    async def asave(self, name: str | None = None, overwrite: bool = False) -> UUID:
        import asyncio

        return await asyncio.to_thread(self.save, name, overwrite)

    @classmethod
    async def aload(cls, name: str, validate: bool = True) -> Self:
        import asyncio

        return await asyncio.to_thread(cls.load, name, validate)

    @classmethod
    async def adelete(cls, name: str) -> None:
        import asyncio

        await asyncio.to_thread(cls.delete, name)
