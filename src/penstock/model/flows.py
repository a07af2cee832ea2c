from enum import StrEnum

from pydantic import Field

from penstock.model.base import Name, Request, Stored


class Flow(Stored):
    name: str
    tags: list[str] = Field(default_factory=list)


class FlowCreate(Request):
    name: Name
    tags: list[str] = Field(default_factory=list)


class FlowUpdate(Request):
    tags: list[str] | None = None


class FlowSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
