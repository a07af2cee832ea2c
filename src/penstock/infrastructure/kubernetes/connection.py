"""The way to one Kubernetes cluster: who we are there, one bounded request at a time, and streams. Knows no jobs.

Answers are plain dicts. What the API server refuses is a `Refusal`; everything that leaves open whether it acted, or
that only says "not now", is NotReachable.
"""

import asyncio
import hashlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from kubernetes_asyncio import client, config

from penstock import clock, settings
from penstock.errors import ConfigurationError, NotReachable

JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"
#: What is accepted where the object itself is not to be sent: its columns, as kubectl prints them.
TABLE = f"{JSON};as=Table;v=v1;g=meta.k8s.io"

#: Seconds that one request may take, and most that a throttling answer makes it wait in all.
REQUEST_SECONDS, THROTTLED_SECONDS = 15.0, 20.0
#: Seconds after which credentials that may have changed are read again.
RELOAD_SECONDS = 300.0
#: Seconds that requests may take which are under way when the connection is closed.
CLOSE_SECONDS = 1.0
#: Requests to one cluster at a time, streams apart.
MOST_REQUESTS = 16
_THROTTLED = {429}
_BROKEN = {500, 502, 503, 504}
_SERVICE_HOST = "KUBERNETES_SERVICE_HOST"

_Answer = tuple[int, Mapping[str, str], bytes]


class Refusal(Exception):
    """The API server says no. `status` is HTTP's, `reason` Kubernetes' word for it, e.g. ``AlreadyExists``."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


@dataclass(frozen=True)
class Access:
    """Where the way to a cluster is described: a kubeconfig's content and context, its file, or the pod we run in.

    All of them None: the pod.
    """

    content: str | None = None
    context: str | None = None
    files: str | None = None

    def describe(self) -> str:
        if self.content is not None:
            return f"the cluster_config block, context {self.context!r}"
        return f"the kubeconfig {self.files}" if self.files is not None else "the service account of this pod"


def access_of(connection: Mapping[str, Any] | None, environ: Mapping[str, str]) -> Access:
    """What is used: the block, else the pod that we run in, else the kubeconfig. `connection` is the block's data.

    Raises ConfigurationError if there is none of them.
    """
    if connection is not None:
        content = connection["config"]
        plain = content.get_secret_value() if hasattr(content, "get_secret_value") else content
        return Access(content=json.dumps(plain, default=str), context=connection["context_name"])
    if environ.get(_SERVICE_HOST):
        return Access()
    named = environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    if not any(Path(part).expanduser().exists() for part in named.split(os.pathsep) if part):
        raise ConfigurationError(
            f"There is no way to a Kubernetes cluster: this is no pod, and there is no kubeconfig {named}.",
            code="kubeconfig_missing",
            hint="Give the block a cluster_config, or set KUBECONFIG where the agent runs.",
        )
    return Access(files=named)


class Connection:
    """One cluster. To be used within one event loop, and closed there."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._client: Any = None
        self._loaded_at = 0.0
        self._perishable = False
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
                reloaded = True
                await self._reload(loaded_at)
                continue
            if status == 401:
                raise self._not_let_in(refusal)
            if status not in _THROTTLED | _BROKEN:
                raise refusal
            pause = _retry_after(headers) if status in _THROTTLED else None
            if pause is None or clock.monotonic() + pause > deadline:
                raise NotReachable(f"The Kubernetes API answers {status}: {refusal.message}")
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def stream(self, path: str, query: Mapping[str, str], silence: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer as they come. Raises Refusal, and NotReachable after `silence` seconds without one."""
        api, loaded_at = await self._api(), self._loaded_at
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=silence)
        try:
            answer = await _call(api, "GET", path, query, None, {"Accept": JSON, "Content-Type": JSON}, timeout)
            async with answer:
                if answer.status >= 300:
                    refusal = _refusal(answer.status, await answer.read())
                    if answer.status == 401:
                        await self._reload(loaded_at)
                        raise self._not_let_in(refusal)
                    if answer.status in _THROTTLED | _BROKEN:
                        raise NotReachable(f"The Kubernetes API answers {answer.status}: {refusal.message}")
                    raise refusal
                try:
                    yield _lines(answer)
                finally:
                    _hang_up(answer)
        except (aiohttp.ClientError, OSError, TimeoutError, ssl.SSLError) as error:
            raise self._silent(error) from None

    async def _reload(self, loaded_at: float) -> None:
        """Read the credentials anew: token files, exec plugins. Not if somebody has, since those of `loaded_at`."""
        async with self._lock:
            if self._loaded_at <= loaded_at:
                await self._load()

    async def close(self) -> None:
        """Hang up, once what was sent is answered, or a moment later."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSE_SECONDS)
        for task in [*self._under_way]:
            task.cancel()
        if self._client is not None:
            await self._client.close()
            self._client = None

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
            old = self._perishable and clock.monotonic() - self._loaded_at > RELOAD_SECONDS
            if self._client is None or old:
                await self._load()
            return self._client

    async def _load(self) -> None:
        """A client with what is valid now. The old one's open streams end with it, and are opened again."""
        configuration = type.__call__(client.Configuration)
        try:
            async with asyncio.timeout(REQUEST_SECONDS * 2):
                user = await _fill(self.access, configuration)
        except TimeoutError:
            raise NotReachable(f"The credentials of {self.access.describe()} did not come in time.") from None
        except Exception as error:
            # config errors of the SDK, of an exec plugin, of the file system: whatever it is, nobody lets us in
            raise NotReachable(
                f"The credentials of {self.access.describe()} cannot be loaded: {error}",
                hint="kubectl, with the same kubeconfig, says more.",
            ) from None
        self._perishable = any(name in user for name in ("exec", "tokenFile", "auth-provider"))
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


async def _fill(access: Access, configuration: Any) -> Mapping[str, Any]:
    """Make `configuration` lead to the cluster; gives what the kubeconfig says of its user."""
    if access.content is not None:
        content = json.loads(access.content)
        await config.load_kube_config_from_dict(content, context=access.context, client_configuration=configuration)
    elif access.files is None:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return {}
    else:
        loader = await config.load_kube_config(
            config_file=access.files, client_configuration=configuration, persist_config=False
        )
        return _user_of(loader)
    return next((item.get("user") or {} for item in content.get("users") or []), {})


def _user_of(loader: Any) -> Mapping[str, Any]:
    user = getattr(loader, "_user", None)
    found: Mapping[str, Any] = user.value if user is not None else {}
    return found


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
