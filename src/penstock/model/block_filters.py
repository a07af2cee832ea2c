"""What lists of block types, schemas and documents can be narrowed down by."""

from pydantic import Field

from penstock.model.base import Request
from penstock.model.block_documents import BlockDocumentSort
from penstock.model.filters import MAX_LIMIT, AnyId, AnyText, Equals, Filter, NameLike


class LikeText(Request):
    """`like_` is part of the text, whatever its case."""

    like_: str | None = None


class AllOf(Request):
    all_: list[str] | None = None


class BlockTypeFilter(Request):
    name: LikeText | None = None
    slug: AnyText | None = None


class BlockSchemaFilter(Filter):
    block_type_id: AnyId | None = None
    block_capabilities: AllOf | None = None
    id: AnyId | None = None
    version: AnyText | None = None


class BlockDocumentFilter(Filter):
    """Anonymous documents are left out unless `is_anonymous` says otherwise."""

    id: AnyId | None = None
    is_anonymous: Equals | None = Field(default_factory=lambda: Equals(eq_=False))
    block_type_id: AnyId | None = None
    name: NameLike | None = None


class BlockPage(Request):
    """`limit` objects, 200 by default, after the first `offset`; or, which costs the same however far, those after `cursor`.

    The cursor of the next page is in the answer's header ``X-Next-Cursor``, which is absent on the last page.
    """

    offset: int | None = Field(default=0, ge=0)
    limit: int | None = Field(default=None, ge=0, le=MAX_LIMIT)
    cursor: str | None = None


class BlockTypeList(BlockPage):
    """Body of ``POST /block_types/filter``: types that fit, and whose schemas fit."""

    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None


class BlockSchemaList(BlockPage):
    """Body of ``POST /block_schemas/filter``."""

    block_schemas: BlockSchemaFilter | None = None


class BlockDocumentCount(Request):
    """Body of ``POST /block_documents/count``: documents that fit, and whose types and schemas fit."""

    block_documents: BlockDocumentFilter | None = None
    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None


class BlockDocumentList(BlockPage, BlockDocumentCount):
    """Body of ``POST /block_documents/filter``."""

    block_schema_type: str | None = None
    include_secrets: bool = False
    sort: BlockDocumentSort | None = BlockDocumentSort.NAME_ASC
