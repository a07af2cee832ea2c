"""How an answer becomes bytes: models and plain data alike go through pydantic's serializer, once."""

from typing import Any

import pydantic_core
from fastapi import Response


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`value` as a JSON response."""
    return Response(pydantic_core.to_json(value), status_code=status, media_type="application/json", headers=headers)


def no_content() -> Response:
    return Response(status_code=204)


def page(listed: Any, next_cursor: str | None) -> Response:
    """A list, and where it goes on."""
    return answer(listed, headers={"X-Next-Cursor": next_cursor} if next_cursor else None)
