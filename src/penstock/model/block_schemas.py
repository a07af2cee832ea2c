from uuid import UUID

from pydantic import Field

from penstock.model.base import JSONObject, Request, Stored
from penstock.model.block_types import BlockType


class BlockSchema(Stored):
    """`fields` is a JSON schema; `checksum` is computed by the server from it."""

    checksum: str
    fields: JSONObject = Field(default_factory=dict)
    block_type_id: UUID | None = None
    block_type: BlockType | None = None
    capabilities: list[str] = Field(default_factory=list)
    version: str = "non-versioned"


class BlockSchemaCreate(Request):
    fields: JSONObject = Field(default_factory=dict)
    block_type_id: UUID
    capabilities: list[str] = Field(default_factory=list)
    version: str = "non-versioned"
