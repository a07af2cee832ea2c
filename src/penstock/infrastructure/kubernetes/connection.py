"""The way to one Kubernetes cluster: who we are there, one bounded request at a time, and streams. Knows no jobs.

Answers are plain dicts. What the API server refuses is a `Refusal`; everything that leaves open whether it acted, or
that only says "not now", is NotReachable.
"""

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from kubernetes_asyncio import client

from penstock import clock, settings
from penstock.errors import NotReachable
from penstock.infrastructure.kubernetes.access import Access, fill

JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"
#: What is accepted where the object itself is not to be sent: its columns, as kubectl prints them.
TABLE = f"{JSON};as=Table;v=v1;g=meta.k8s.io"

#: Seconds that one request may take, and most that a throttling answer makes it wait in all.
REQUEST_SECONDS, THROTTLED_SECONDS = 15.0, 20.0
#: Seconds after which credentials that may have changed are read again, and after which those that were not accepted, or
#: could not be had, are: a plugin may take a second of computing each time.
RELOAD_SECONDS, AGAIN_SECONDS = 300.0, 3.0
#: Seconds that requests may take which are under way when the connection is closed.
CLOSE_SECONDS = 1.0
#: Requests to one cluster at a time, streams apart.
MOST_REQUESTS = 16
_THROTTLED = {429}
_BROKEN = {500, 502, 503, 504}

_Answer = tuple[int, Mapping[str, str], bytes]


class Refusal(Exception):
    """The API server says no. `status` is HTTP's, `reason` Kubernetes' word for it, e.g. ``AlreadyExists``."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


class Connection:
    """One cluster. To be used within one event loop, and closed there."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._client: Any = None
        self._loaded_at = 0.0
        self._tried_at = float("-inf")
        self._trouble: NotReachable | None = None
        self._perishable = False
        self._closed = False
        self._id = ""
        self._lock = asyncio.Lock()
        self._under_way: set[asyncio.Task[_Answer]] = set()
        self._slots = asyncio.Semaphore(MOST_REQUESTS)

    async def id(self) -> str:
        """What tells this cluster from others: PENSTOCK_KUBERNETES_CLUSTER_ID, else a hash of its address and its CA.

        No right in the cluster is needed to know it. Raises NotReachable if the credentials cannot be loaded.
        """
        await self._api()
        return self._id

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        seconds: float = REQUEST_SECONDS,
    ) -> dict[str, Any]:
        """The answer, as data. Raises Refusal, or NotReachable if nobody knows whether it was acted on."""
        deadline = clock.monotonic() + THROTTLED_SECONDS
        asking = {"Accept": accept, "Content-Type": content_type}
        reloaded = False
        while True:
            loaded_at = self._loaded_at
            status, headers, data = await self._ask(method, path, query, body, asking, seconds)
            if status < 300:
                return _parsed(data)
            refusal = _refusal(status, data)
            if status == 401 and not reloaded:
                await self._reload(loaded_at)
                reloaded = True
                continue
            if status not in _THROTTLED | _BROKEN:
                raise self._not_let_in(refusal) if status == 401 else refusal
            pause = _retry_after(headers) if status in _THROTTLED else None
            if pause is None or clock.monotonic() + pause > deadline:
                raise NotReachable(f"The Kubernetes API answers {status}: {refusal.message}")
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def stream(self, path: str, query: Mapping[str, str], silence: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer as they come. Raises Refusal, and NotReachable after `silence` seconds without one."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=silence)
        try:
            answer = await self._opened(path, query, timeout)
            async with answer:
                try:
                    yield _lines(answer)
                finally:
                    _hang_up(answer)
        except (aiohttp.ClientError, OSError, TimeoutError, ssl.SSLError) as error:
            raise self._silent(error) from None

    async def _opened(self, path: str, query: Mapping[str, str], timeout: aiohttp.ClientTimeout) -> Any:
        """An answer that has begun, and whose rest is still to come."""
        reloaded = False
        while True:
            api, loaded_at = await self._api(), self._loaded_at
            answer = await _call(api, "GET", path, query, None, {"Accept": JSON, "Content-Type": JSON}, timeout)
            if answer.status < 300:
                return answer
            async with answer:
                refusal = _refusal(answer.status, await answer.read())
            if answer.status in _THROTTLED | _BROKEN:
                raise NotReachable(f"The Kubernetes API answers {answer.status}: {refusal.message}")
            if answer.status != 401 or reloaded:
                raise self._not_let_in(refusal) if answer.status == 401 else refusal
            await self._reload(loaded_at)
            reloaded = True

    async def _reload(self, loaded_at: float) -> None:
        """Read the credentials anew: token files, exec plugins. Not if somebody has, since those of `loaded_at`."""
        async with self._lock:
            if self._loaded_at <= loaded_at:
                await self._load()

    async def close(self) -> None:
        """Hang up, once what was sent is answered, or a moment later. Whoever still asks gets a NotReachable."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSE_SECONDS)
        self._closed = True
        found, self._client = self._client, None
        if found is not None:
            # drops the lines in use at once; one whose call is given up first takes leave by TLS, and waits for the answer
            await found.close()
        for task in [*self._under_way]:
            task.cancel()

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        asking: Mapping[str, str],
        seconds: float,
    ) -> _Answer:
        """The answer's status, headers and body. A request that nobody waits for any more is carried through."""
        task = asyncio.create_task(self._send(method, path, query or {}, body, asking, seconds))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, asking: Mapping[str, str], seconds: float
    ) -> _Answer:
        api = await self._api()
        try:
            async with self._slots, asyncio.timeout(seconds):
                answer = await _call(api, method, path, query, body, asking, None)
                async with answer:
                    return answer.status, answer.headers, await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError, ssl.SSLError) as error:
            raise self._silent(error) from None

    def _done(self, task: "asyncio.Task[_Answer]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it is told; it may be nobody

    async def _api(self) -> Any:
        async with self._lock:
            if self._closed:
                raise NotReachable(f"The line to {self.access.describe()} is closed.")
            if self._client is None:
                await self._load()
            elif self._perishable and clock.monotonic() - self._tried_at > RELOAD_SECONDS:
                with suppress(NotReachable):  # what there is may still be good: the API server says when it is not
                    await self._load()
            return self._client

    async def _load(self) -> None:
        """Read the credentials, unless that was tried a moment ago. Raises NotReachable, with what came of it then."""
        if clock.monotonic() - self._tried_at < AGAIN_SECONDS:
            if self._trouble is not None:
                raise self._trouble
            return
        self._trouble = None
        try:
            async with asyncio.timeout(REQUEST_SECONDS * 2):
                await self._use()
        except TimeoutError:
            self._trouble = NotReachable(f"The credentials of {self.access.describe()} did not come in time.")
        except Exception as error:
            # config errors of the SDK, of an exec plugin, of the file system: whatever it is, nobody lets us in
            self._trouble = NotReachable(
                f"The credentials of {self.access.describe()} cannot be loaded: {error}",
                hint="kubectl, with the same kubeconfig, says more.",
            )
        self._tried_at = clock.monotonic()
        if self._trouble is not None:
            raise self._trouble

    async def _use(self) -> None:
        """Go on with what is valid now. If more than a token differs, open streams end, and are opened again."""
        configuration = type.__call__(client.Configuration)
        self._perishable = await fill(self.access, configuration)
        self._loaded_at = clock.monotonic()
        self._id = settings.get("PENSTOCK_KUBERNETES_CLUSTER_ID") or cluster_id(
            configuration.host, _ca_of(configuration)
        )
        if self._client is not None and _same_way(self._client.configuration, configuration):
            self._client.configuration.api_key.update(configuration.api_key)
            return
        old, self._client = self._client, client.ApiClient(configuration=configuration)
        if old is not None:
            await old.close()

    def _not_let_in(self, refusal: Refusal) -> NotReachable:
        return NotReachable(
            f"The cluster does not accept the credentials of {self.access.describe()}: {refusal.message}",
            code="credentials",
            hint="They were read again first. Renew them; jobs go on meanwhile.",
        )

    def _silent(self, error: BaseException) -> NotReachable:
        host = self._client.configuration.host if self._client is not None else "?"
        said = str(error) or type(error).__name__
        return NotReachable(f"The Kubernetes API at {host} does not answer: {said}")


def cluster_id(host: str, ca: bytes) -> str:
    """The identity of the cluster at `host` whose authority is `ca`."""
    return hashlib.sha256(host.rstrip("/").lower().encode() + b"\n" + ca.strip()).hexdigest()[:16]


def _ca_of(configuration: Any) -> bytes:
    path = configuration.ssl_ca_cert
    try:
        return Path(path).read_bytes() if path else b""
    except OSError:
        return b""


def _same_way(one: Any, other: Any) -> bool:
    """Whether nothing but the token differs: the open connections may stay."""
    names = ("host", "ssl_ca_cert", "cert_file", "key_file", "verify_ssl", "tls_server_name", "proxy")
    return all(getattr(one, name) == getattr(other, name) for name in names)


async def _call(
    api: Any, method: str, path: str, query: Mapping[str, str], body: Any, asking: Mapping[str, str], timeout: Any
) -> Any:
    return await api.call_api(
        quote(path),
        method,
        query_params=list(query.items()),
        header_params=dict(asking),
        body=body,
        auth_settings=["BearerToken"],
        _preload_content=False,
        _request_timeout=timeout,
    )


def _hang_up(answer: Any) -> None:
    """Drop the connection of an answer that is left before its end: TLS would take leave first, and wait for it."""
    connection = answer.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


async def _lines(answer: Any) -> AsyncIterator[bytes]:
    """Whole lines of any length; the last one may have no end."""
    rest = bytearray()
    async for piece in answer.content.iter_any():
        rest += piece
        end = rest.rfind(b"\n") + 1
        if end:
            for line in bytes(rest[: end - 1]).split(b"\n"):
                yield line + b"\n"
            del rest[:end]
    if rest:
        yield bytes(rest)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data) if data else {}
    except ValueError:
        raise NotReachable(
            "The Kubernetes API answers what is no JSON: something else stands at its address."
        ) from None
    return found if isinstance(found, dict) else {}


def _refusal(status: int, data: bytes) -> Refusal:
    try:
        said = json.loads(data)
        return Refusal(status, str(said.get("reason") or ""), str(said.get("message") or data.decode(errors="replace")))
    except (ValueError, AttributeError):
        return Refusal(status, "", data.decode(errors="replace").strip()[:500] or f"HTTP {status}")


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(max(float(headers.get("Retry-After", "1")), 0.1), THROTTLED_SECONDS)
    except ValueError:
        return 1.0
