"""The client for threads."""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from penstock import settings
from penstock.client import nouns
from penstock.client.call import Call, any_json
from penstock.client.transport import Refusal, Ticket, Transport
from penstock.errors import ConfigurationError

T = TypeVar("T")


class SyncClient:
    """Speaks to the API at `api_url`; without one, to the local server that is started when it is needed.

    Threads may share it. Every function of the noun modules is also a method: ``client.read_flow_run(id)`` is
    ``client.send(flow_runs.read_flow_run(id))``.
    """

    def __init__(
        self,
        api_url: str | None = None,
        key: str | None = None,
        attempt: tuple[UUID, str] | None = None,
        *,
        max_retries: int | None = None,
        timeout: float | None = None,
    ) -> None:
        self._api_url = api_url
        self._options: dict[str, Any] = {
            "key": key,
            "attempt": attempt,
            "max_retries": max_retries,
            "timeout": timeout,
            "wait_for_listener": api_url is not None,
        }
        self._transport: Transport | None = Transport(api_url, **self._options) if api_url is not None else None

    @property
    def api_url(self) -> str:
        """Where this client speaks to. Starts the local server if there is no other and it does not run."""
        return self._connected().api_url

    def send(self, call: Call[T], *, deadline: float | None = None, ticket: Ticket | None = None) -> T:
        """The answer to `call`. See `Transport.send` for what it raises and how often it tries."""
        transport = self._connected()
        try:
            return transport.send(call, deadline=deadline, ticket=ticket)
        except Refusal:
            if self._api_url is not None:
                raise
        # The local server left since it was last used, because nobody had used it for a while.
        return self._connected(instead_of=transport).send(call, deadline=deadline, ticket=ticket)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        deadline: float | None = None,
        ticket: Ticket | None = None,
    ) -> Any:
        """Send any request and return the answer as plain JSON values: no model is imported, nothing is validated.

        `path` is relative to the API's root, e.g. ``/flow_runs/filter``.
        """
        harmless = method.upper() in {"GET", "HEAD", "PUT", "PATCH", "DELETE"} or path.endswith(("/filter", "/count"))
        call = Call(method.upper(), "/" + path.lstrip("/"), any_json, body=body, query=query, repeatable=harmless)
        return self.send(call, deadline=deadline, ticket=ticket)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def __enter__(self) -> "SyncClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        build = nouns.find(name)

        def send(*args: Any, **kwargs: Any) -> Any:
            return self.send(build(*args, **kwargs))

        send.__name__, send.__doc__ = name, build.__doc__
        return send

    def _connected(self, *, instead_of: Transport | None = None) -> Transport:
        transport = self._transport
        if transport is None or transport is instead_of:
            from penstock.client import ephemeral

            if transport is not None:
                ephemeral.forget(transport.api_url)
                transport.close()
            transport = self._transport = Transport(ephemeral.ensure_server(), **self._options)
        return transport


def get_sync_client(
    api_url: str | None = None,
    key: str | None = None,
    attempt: tuple[UUID, str] | None = None,
    *,
    max_retries: int | None = None,
    timeout: float | None = None,
) -> SyncClient:
    """A client of `api_url`, else of PENSTOCK_API_URL, else of the local server, which is started if it does not run.

    `key` defaults to PENSTOCK_API_KEY; `attempt` is (id, token) of the attempt that speaks, by default, where there is no
    key, the one whose job this process is; `max_retries` and `timeout` (seconds) default to PENSTOCK_CLIENT_MAX_RETRIES
    and PENSTOCK_API_REQUEST_TIMEOUT.
    """
    key = key or settings.get("PENSTOCK_API_KEY")
    return SyncClient(
        api_url or settings.get("PENSTOCK_API_URL"),
        key,
        attempt or (_attempt_of_this_job() if key is None and api_url is None else None),
        max_retries=max_retries,
        timeout=timeout,
    )


def _attempt_of_this_job() -> tuple[UUID, str] | None:
    """What a job was given to show, for code in it that knows nothing of its run: loading a block, reading a result."""
    attempt_id = os.environ.get("PENSTOCK__ATTEMPT_ID")
    if not attempt_id:
        return None
    from penstock.client.token_of_job import token_of_job

    try:
        token = token_of_job(os.environ)
        return (UUID(attempt_id), token) if token else None
    except (ConfigurationError, ValueError):
        return None  # the engine has said so already; what asks without a token is told by the server what it lacks
