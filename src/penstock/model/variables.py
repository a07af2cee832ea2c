"""Variables: small texts with names, which every run can read."""

import re
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from penstock.model.base import Request, Stored
from penstock.model.filters import AnyId, Filter, NameLike, Page, Tags, or_default

#: Most characters of a name, and of a value.
LONGEST_NAME, LONGEST_VALUE = 255, 5000


def check_variable_name(name: str) -> str:
    """Return `name`, or raise ValueError unless it is made of lowercase letters, digits, ``_`` and ``-``."""
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise ValueError(f"{name!r} cannot name a variable: use lowercase letters, digits, underscores and dashes")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"the name of a variable has at most {LONGEST_NAME} characters, not {len(name)}")
    return name


def check_variable_value(value: str) -> str:
    """Return `value`, or raise ValueError if it is too long."""
    if len(value) > LONGEST_VALUE:
        raise ValueError(f"the value of a variable has at most {LONGEST_VALUE} characters, not {len(value)}")
    return value


VariableName = Annotated[str, AfterValidator(check_variable_name)]
VariableValue = Annotated[str, AfterValidator(check_variable_value)]


class VariableSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"


class Variable(Stored):
    name: str
    value: str
    tags: list[str] = Field(default_factory=list)


class VariableCreate(Request):
    """`id`: chosen by the client, so that the request can be repeated."""

    id: UUID | None = None
    name: VariableName
    value: VariableValue
    tags: list[str] | None = None


class VariableUpdate(Request):
    """Only fields that are given are changed; null leaves a field as it is."""

    name: VariableName | None = None
    value: VariableValue | None = None
    tags: list[str] | None = None


class VariableFilter(Filter):
    id: AnyId | None = None
    name: NameLike | None = None
    value: NameLike | None = None
    tags: Tags | None = None


class VariableCount(Request):
    """Body of ``POST /variables/count``."""

    variables: VariableFilter | None = None


class VariableQuery(Page, VariableCount):
    """Body of ``POST /variables/filter``."""

    sort: Annotated[VariableSort, or_default(VariableSort.NAME_ASC)] = VariableSort.NAME_ASC
