"""The client for coroutines: the same requests, sent in threads."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar
from uuid import UUID

from penstock.client import nouns
from penstock.client.call import Call
from penstock.client.sync import SyncClient, get_sync_client
from penstock.client.threads import Threads

T = TypeVar("T")


class AsyncClient:
    """`SyncClient` for coroutines. A request whose task is cancelled is given up at once; its connection is closed.

    Every function of the noun modules is also a method: ``await client.read_flow_run(id)``.
    """

    def __init__(self, client: SyncClient) -> None:
        self._client = client
        self._threads = Threads()

    @property
    def blocking(self) -> SyncClient:
        """The client that sends in the threads: for code that has threads of its own."""
        return self._client

    async def api_url(self) -> str:
        """Where this client speaks to. Starts the local server if there is no other and it does not run."""
        return await self._threads.run(lambda _ticket: self._client.api_url)

    async def send(self, call: Call[T], *, deadline: float | None = None) -> T:
        """The answer to `call`; as `SyncClient.send`."""
        return await self._threads.run(lambda ticket: self._client.send(call, deadline=deadline, ticket=ticket))

    async def request(self, method: str, path: str, body: Any = None, *, query: Mapping[str, str] | None = None) -> Any:
        """Any request; as `SyncClient.request`."""
        return await self._threads.run(
            lambda ticket: self._client.request(method, path, body, query=query, ticket=ticket)
        )

    async def close(self) -> None:
        """Close the connections and let the threads go."""
        self._threads.close()
        self._client.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        build = nouns.find(name)

        async def send(*args: Any, **kwargs: Any) -> Any:
            return await self.send(build(*args, **kwargs))

        send.__name__, send.__doc__ = name, build.__doc__
        return send


def get_client(
    api_url: str | None = None,
    key: str | None = None,
    attempt: tuple[UUID, str] | None = None,
    *,
    max_retries: int | None = None,
    timeout: float | None = None,
) -> AsyncClient:
    """As `get_sync_client`, for coroutines. Nothing blocks until the first request."""
    return AsyncClient(get_sync_client(api_url, key, attempt, max_retries=max_retries, timeout=timeout))
