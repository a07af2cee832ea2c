from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from penstock.model.saved_searches import SavedSearch, SavedSearchCreate, SavedSearchQuery
from penstock.server.api.answers import answer, no_content
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.delete_saved_search import delete_saved_search
from penstock.server.operations.read_saved_searches import read_saved_search, read_saved_searches
from penstock.server.operations.save_search import save_search

router = APIRouter(prefix="/saved_searches", tags=["SavedSearches"])
SearchId = Annotated[UUID, Path(alias="id")]


@router.put("/", response_model=SavedSearch, responses={201: {"model": SavedSearch}})
async def save(body: SavedSearchCreate, database: TheDatabase) -> Response:
    """201 if the search is new, 200 if one of that name was there."""
    search, is_new = await database.write(save_search, body)
    return answer(search, 201 if is_new else 200)


@router.post("/filter", response_model=list[SavedSearch])
async def read_many(database: TheDatabase, body: SavedSearchQuery | None = None) -> Response:
    return answer(await database.read(read_saved_searches, body or SavedSearchQuery()))


@router.get("/{id}", response_model=SavedSearch)
async def read(search_id: SearchId, database: TheDatabase) -> Response:
    return answer(await database.read(read_saved_search, search_id))


@router.delete("/{id}", status_code=204)
async def delete(search_id: SearchId, database: TheDatabase) -> Response:
    await database.write(delete_saved_search, search_id)
    return no_content()
