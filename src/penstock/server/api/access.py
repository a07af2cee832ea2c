"""Who may come in. Plain ASGI, because every request passes here.

Without a key everybody may (the server listens on loopback). With a key a request shows it as ``Authorization: Bearer KEY``, or,
where an engine has business, the credential of its attempt, which opens nothing any more once the attempt is over. `/health`
and `/ready` are open to all.
"""

import hmac
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock import errors
from penstock.server.api.dependencies import ATTEMPT_HEADER, parse_attempt
from penstock.server.api.errors import error_answer
from penstock.server.database.connection import Database
from penstock.server.operations.check_attempt_credential import check_attempt_credential

OPEN_PATHS = frozenset({"/api/health", "/api/ready"})

#: What an engine needs, beside the key: its run, task runs and logs, subflows, runs of other deployments, saved blocks,
#: variables, artifacts, inputs of runs.
_ENGINE_PATHS = re.compile(
    r"GET /api/(hello|version|csrf-token|flows/.*|flow_runs/.*|task_runs/.*|flow_run_states/.*|task_run_states/.*"
    r"|deployments/.*|attempts/.*|bundles/[^/]+|block_(types|schemas|documents)/.*|block_capabilities/?|variables/.*|artifacts/.*)"
    r"|POST /api/(flows/|flow_runs/|flow_runs/(filter|count)|flow_runs/[^/]+/(set_state|resume|input(/filter)?)|task_runs/.*|logs/?|reports/?"
    r"|attempts/[^/]+/present|deployments/[^/]+/create_flow_run|block_(types|schemas|documents)/(filter|count)?)"
    r"|POST /api/(variables|artifacts)/.*"
    r"|GET /api/(concurrency_slots|concurrency_limits|v2/concurrency_limits)/.*"
    r"|POST /api/(concurrency_slots/.*|concurrency_limits/filter|v2/concurrency_limits/(filter|increment|decrement))"
    r"|PATCH /api/((flow_runs|task_runs|artifacts|variables|block_types|block_documents)/[^/]+|variables/name/[^/]+)"
    r"|DELETE /api/(flow_runs/[^/]+/input/[^/]+|variables/name/[^/]+)"
)


def opens_to_engines(method: str, path: str) -> bool:
    """Whether the credential of an attempt is enough for this request."""
    return _ENGINE_PATHS.fullmatch(f"{method} {path}") is not None


class Access:
    """ASGI middleware: 401 unless the request may come in, 409 ``attempt_superseded`` for the engine of an attempt that is over."""

    def __init__(self, app: ASGIApp, key: str | None, database: Database) -> None:
        self._app, self._key, self._database = app, key, database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._key is not None and not self._is_open(scope, self._key):
            error = await self._refusal(scope)
            if error is not None:
                response = error_answer(error)
                if response.status_code == 401:
                    response.headers["WWW-Authenticate"] = "Bearer"
                return await response(scope, receive, send)
        return await self._app(scope, receive, send)

    def _is_open(self, scope: Scope, key: str) -> bool:
        """Whether it may come in without an attempt's credential."""
        if scope["path"] in OPEN_PATHS or not scope["path"].startswith("/api"):
            return True
        kind, _, shown = Headers(scope=scope).get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), key.encode())

    async def _refusal(self, scope: Scope) -> errors.PenstockError | None:
        headers = Headers(scope=scope)
        credential = headers.get(ATTEMPT_HEADER)
        if credential is None or not opens_to_engines(scope["method"], scope["path"]):
            return _no_key("authorization" in headers)
        try:
            attempt_id, token = parse_attempt(credential)
            await self._database.read(check_attempt_credential, attempt_id, token)
            scope.setdefault("state", {})["by_attempt"] = attempt_id
        except errors.PenstockError as error:
            return error
        return None


def _no_key(shown: bool) -> errors.NotAuthorized:
    return errors.NotAuthorized(
        "The key is not this server's key" if shown else "The key is missing",
        hint="Set PENSTOCK_API_KEY to the server's key; it is in api.key in the server's PENSTOCK_HOME "
        "unless PENSTOCK_SERVER_API_KEY is set there.",
    )
