"""Saved searches: lists of conditions that a user interface keeps under a name. The server does not look into them."""

from typing import Any

from pydantic import Field

from penstock.model.base import Data, Name, Request, Stored
from penstock.model.filters import MAX_LIMIT


class SavedSearchFilter(Data):
    """One condition: that the `property` of an `object` ("flow_run" …) stands in `operation` to `value` of that `type`."""

    object: str
    property: str
    type: str
    operation: str
    value: Any = None


class SavedSearch(Stored):
    name: str
    filters: list[SavedSearchFilter] = Field(default_factory=list)


class SavedSearchCreate(Request):
    """Body of ``PUT /saved_searches/``, which creates the search of that name or replaces its filters."""

    name: Name
    filters: list[SavedSearchFilter] = Field(default_factory=list)


class SavedSearchQuery(Request):
    """Body of ``POST /saved_searches/filter``: `limit` searches by name, 200 by default, after the first `offset`."""

    offset: int | None = Field(default=0, ge=0)
    limit: int | None = Field(default=None, ge=0, le=MAX_LIMIT)
