"""What an answer that is no success means: one of `penstock.errors`."""

import json
from http import HTTPStatus
from typing import Any

from penstock.errors import APIError, Conflict, Invalid, NotAuthorized, NotFound, Refused, Unreachable

_BY_STATUS: dict[int, type[APIError]] = {
    400: Invalid,
    401: NotAuthorized,
    403: NotAuthorized,
    404: NotFound,
    405: NotFound,
    408: Unreachable,
    409: Conflict,
    413: Invalid,
    422: Invalid,
    423: Refused,
    429: Unreachable,
}
#: Codes that say more than the status does.
_BY_CODE: dict[str, type[APIError]] = {
    "refused": Refused,
    "conflict": Conflict,
    "invalid": Invalid,
    "not_found": NotFound,
    "not_authorized": NotAuthorized,
}


def error_from(status: int, raw: bytes, request: str) -> APIError:
    """The error that the answer `raw` with `status` to `request` ("GET http://…") stands for."""
    body = _json_object(raw)
    code = _text(body.get("code"))
    message = _text(body.get("message")) or _text(body.get("detail")) or _text(body.get("exception_message"))
    if message is None:
        message = f"{request} was answered with {status} {_phrase(status)}"
        excerpt = raw[:200].decode(errors="replace").strip()
        if excerpt and not body:
            message += f": {excerpt}"
    return _kind(status, code)(message, code=code, hint=_text(body.get("hint")), status=status)


def _kind(status: int, code: str | None) -> type[APIError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == 403 and code is not None:
        # Whoever asks is known and may ask; it is this very thing that a rule forbids to everybody.
        return Refused
    return _BY_STATUS.get(status) or (Unreachable if status >= 500 else APIError)


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
