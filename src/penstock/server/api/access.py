"""Who may come in. Plain ASGI, because every request passes here.

Without a key everybody may (the server listens on loopback). With a key a request shows it as ``Authorization: Bearer KEY``, or,
where an engine has business, the credential of its attempt. `/health` and `/ready` are open to all.
"""

import hmac
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock import errors
from penstock.server import keys
from penstock.server.api.dependencies import ATTEMPT_HEADER, parse_attempt
from penstock.server.api.errors import error_answer

OPEN_PATHS = frozenset({"/api/health", "/api/ready"})

#: What an engine needs, beside the key: its run, task runs and logs, subflows, runs of other deployments, saved blocks.
_ENGINE_PATHS = re.compile(
    r"GET /api/(hello|version|csrf-token|flows/.*|flow_runs/.*|task_runs/.*|flow_run_states/.*|task_run_states/.*"
    r"|deployments/.*|attempts/.*|bundles/.*|block_(types|schemas|documents)/.*)"
    r"|POST /api/(flows/|flow_runs/|flow_runs/(filter|count)|flow_runs/[^/]+/(set_state|resume)|task_runs/.*|logs/?|reports/?"
    r"|attempts/[^/]+/present|deployments/[^/]+/create_flow_run|block_(types|schemas|documents)/.*)"
    r"|PATCH /api/(flow_runs|task_runs)/[^/]+"
)


def opens_to_engines(method: str, path: str) -> bool:
    """Whether the credential of an attempt is enough for this request."""
    return _ENGINE_PATHS.fullmatch(f"{method} {path}") is not None


class Access:
    """ASGI middleware: 401 unless the request may come in."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self._app, self._key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._key is not None and not self._may_enter(scope, self._key):
            shown = "is not this server's key" if "authorization" in Headers(scope=scope) else "is missing"
            error = errors.NotAuthorized(
                f"The key {shown}",
                hint="Set PENSTOCK_API_KEY to the server's key; it is in api.key in the server's PENSTOCK_HOME "
                "unless PENSTOCK_SERVER_API_KEY is set there.",
            )
            response = error_answer(error)
            response.headers["WWW-Authenticate"] = "Bearer"
            return await response(scope, receive, send)
        return await self._app(scope, receive, send)

    def _may_enter(self, scope: Scope, key: str) -> bool:
        path, headers = scope["path"], Headers(scope=scope)
        if path in OPEN_PATHS or not path.startswith("/api"):
            return True
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), key.encode()):
            return True
        credential = headers.get(ATTEMPT_HEADER)
        if credential is None or not opens_to_engines(scope["method"], path):
            return False
        try:
            attempt_id, token = parse_attempt(credential)
        except errors.Invalid:
            return False
        return keys.is_attempt_token(attempt_id, token)
