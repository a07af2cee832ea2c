"""What every piece of data on the wire has in common."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from pydantic import AfterValidator, BaseModel, ConfigDict


class Data(BaseModel):
    """Something that is read from the wire. Fields of a newer peer that we do not know are ignored."""

    model_config = ConfigDict(defer_build=True, extra="ignore", use_enum_values=False, populate_by_name=True)


class Request(BaseModel):
    """Something that is asked of the server. A field that the server does not know is refused by name, never ignored."""

    model_config = ConfigDict(defer_build=True, extra="forbid", populate_by_name=True)


class Stored(Data):
    """An object that the server keeps."""

    id: UUID
    created: datetime | None = None
    updated: datetime | None = None


#: Characters that stand for something else in paths and queries, and so cannot be part of a name.
BANNED_IN_NAMES = "/%&><"


def check_name(name: str) -> str:
    """Return `name`, or raise ValueError if it is empty or holds one of ``/ % & > <``."""
    banned = sorted({c for c in name if c in BANNED_IN_NAMES})
    if banned:
        raise ValueError(f"name {name!r} contains {' '.join(banned)}; names may not contain any of / % & > <")
    if not name.strip():
        raise ValueError("a name may not be empty")
    return name


Name = Annotated[str, AfterValidator(check_name)]
JSONObject = dict[str, Any]


def plain(text: str) -> str:
    """`text` without what JSON in UTF-8 and a database cannot hold: lone surrogates, which stand for bytes of file names
    and variables that are no UTF-8, and NUL."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


#: Words of somebody else's (a platform, an exception, a file's name), which may hold anything.
Words = Annotated[str, AfterValidator(plain)]


def new_id() -> UUID:
    """A fresh identifier. Random, so that its first characters tell runs of one day apart."""
    return uuid4()
