from enum import StrEnum
from uuid import UUID

from pydantic import Field

from penstock.model.base import JSONObject, Name, Request, Stored
from penstock.model.block_schemas import BlockSchema
from penstock.model.block_types import BlockType

#: What is shown in place of a secret. It is never accepted as a value.
MASK = "********"
#: What pydantic writes in place of a SecretStr, and so whoever dumps a block's model as JSON.
_MASK_OF_PYDANTIC = "**********"


def is_mask(value: object) -> bool:
    """Whether `value` stands for a secret instead of being one."""
    return value in (MASK, _MASK_OF_PYDANTIC)


class BlockDocument(Stored):
    """A saved block. Its `data` holds other blocks' data where it refers to them.

    `block_document_references` says of each field that is such a reference where it leads; `deep_references` the same of
    those that lie deeper, in lists and mappings, by their dotted place.
    """

    name: str | None = None
    data: JSONObject = Field(default_factory=dict)
    block_schema_id: UUID
    block_schema: BlockSchema | None = None
    block_type_id: UUID
    block_type_name: str | None = None
    block_type: BlockType | None = None
    block_document_references: JSONObject = Field(default_factory=dict)
    deep_references: JSONObject = Field(default_factory=dict)
    is_anonymous: bool = False
    #: what the database has lost of it, with the field; empty unless it was damaged there
    problems: list[str] = Field(default_factory=list)


class BlockDocumentCreate(Request):
    """Without a name the document is anonymous and is named by the server."""

    name: Name | None = None
    data: JSONObject = Field(default_factory=dict)
    block_schema_id: UUID
    block_type_id: UUID
    is_anonymous: bool = False


class BlockDocumentUpdate(Request):
    block_schema_id: UUID | None = None
    data: JSONObject = Field(default_factory=dict)
    merge_existing_data: bool = True


class BlockDocumentSort(StrEnum):
    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"
    BLOCK_TYPE_AND_NAME_ASC = "BLOCK_TYPE_AND_NAME_ASC"
