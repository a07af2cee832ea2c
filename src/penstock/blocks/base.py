"""Block: configuration that is typed, named, saved on the server, and loaded wherever a flow runs."""

from typing import Self
from uuid import UUID

from penstock.blocks import documents, registry
from penstock.blocks.typed import TypedBlock
from penstock.model.base import JSONObject


class Block(TypedBlock):
    """Derive from it, declare fields as in any pydantic model, and it can be saved and loaded by name.

    A field of type `SecretStr` is kept sealed by the server and shown only as a mask. A field may hold another block:
    one that was saved is stored as a reference, any other by value. Unknown fields are refused with the nearest name.

    Saving and loading talk to the server and block the thread; `asave`, `aload`, `adelete` do the same for async code.
    """

    @staticmethod
    def from_document(slug: str, data: JSONObject) -> "Block":
        """The block whose type is `slug` and whose document holds `data`, with secrets in clear.

        Raises ConfigurationError if no class of that slug is installed, ValidationError if the data does not fit it.
        """
        block: Block = registry.find_block(slug).model_validate(data)
        return block

    @classmethod
    def register_type_and_schema(cls) -> tuple[UUID, UUID]:
        """Make the server know this class and those of its blocks. Returns the ids of its type and its schema."""
        return documents.register(cls)

    def save(self, name: str | None = None, overwrite: bool = False) -> UUID:
        """Save under `name` and return the document's id; without a name, under the one it was saved or loaded with.

        Raises Conflict if the name is taken and `overwrite` is False.
        """
        return documents.save(self, name, overwrite)

    @classmethod
    def load(cls, name: str) -> Self:
        """The block of this class that was saved as `name`; ``Block.load("slug/name")`` for one of any class.

        Raises NotFound, with the nearest name if there is one.
        """
        return documents.load(cls, name)

    @classmethod
    def delete(cls, name: str) -> None:
        """Delete the saved block of that name. Raises NotFound, or Conflict while something refers to it."""
        documents.delete(cls, name)

    async def asave(self, name: str | None = None, overwrite: bool = False) -> UUID:
        import asyncio

        return await asyncio.to_thread(self.save, name, overwrite)

    @classmethod
    async def aload(cls, name: str) -> Self:
        import asyncio

        return await asyncio.to_thread(cls.load, name)

    @classmethod
    async def adelete(cls, name: str) -> None:
        import asyncio

        await asyncio.to_thread(cls.delete, name)
