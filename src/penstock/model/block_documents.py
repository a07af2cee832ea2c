from enum import StrEnum
from uuid import UUID

from pydantic import Field

from penstock.model.base import JSONObject, Name, Request, Stored
from penstock.model.block_schemas import BlockSchema
from penstock.model.block_types import BlockType

#: What is shown in place of a secret. It is never accepted as a value.
MASK = "********"


class BlockDocument(Stored):
    name: str | None = None
    data: JSONObject = Field(default_factory=dict)
    block_schema_id: UUID
    block_schema: BlockSchema | None = None
    block_type_id: UUID
    block_type_name: str | None = None
    block_type: BlockType | None = None
    block_document_references: JSONObject = Field(default_factory=dict)
    is_anonymous: bool = False


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
