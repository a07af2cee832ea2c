"""The version of the API that a client says it speaks (header ``X-PREFECT-API-VERSION``). Plain ASGI."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock import errors
from penstock.server.api.errors import error_answer

HEADER = "x-prefect-api-version"
#: The version that this server speaks, and the oldest that it still understands.
CURRENT, OLDEST = (0, 8, 4), (0, 8, 0)


def check_version(text: str | None) -> None:
    """Raise `Invalid` (status 400) unless `text` is absent or names a version that this server understands."""
    if text is None:
        return
    try:
        major, minor, patch = (int(part) for part in text.split("."))
    except ValueError:
        message = f"{HEADER.upper()} must look like 0.8.4, not {text!r}"
        raise errors.Invalid(message, code="api_version_malformed", status=400) from None
    if (major, minor, patch) < OLDEST:
        raise errors.Invalid(
            f"This server speaks API version {'.'.join(map(str, CURRENT))} and understands {'.'.join(map(str, OLDEST))} or newer, not {text}",
            code="api_version_too_old",
            hint="Upgrade the client.",
            status=400,
        )


class Protocol:
    """ASGI middleware: 400 for a client that speaks another version of the API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                check_version(Headers(scope=scope).get(HEADER))
            except errors.Invalid as error:
                return await error_answer(error)(scope, receive, send)
        return await self._app(scope, receive, send)
