"""The line to one Docker engine: every call is bounded in time, and what breaks on the way is told from what it answers.

Calls run in a few threads of their own, each with an SDK client of its own: their HTTP sessions are not made to be shared.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from penstock.blocks.docker_address import EngineAddress as EngineAddress
from penstock.blocks.docker_address import engine_address as engine_address
from penstock.blocks.docker_address import tls_config
from penstock.blocks.extras import import_extra
from penstock.errors import NotReachable

if TYPE_CHECKING:
    from docker import APIClient
    from docker.errors import APIError

T = TypeVar("T")

#: Calls that are on their way to the engine at once; more of them wait.
THREADS = 12
#: The same over ssh, where each of them is a session: servers refuse more than a few that begin at once.
SSH_THREADS = 4
#: Seconds for the small questions: who are you, which API do you speak.
ASK_SECONDS = 10.0
#: Seconds that a call waits for its turn at least: the time of others is not held against the engine.
_TURN_SECONDS = 30.0
#: Seconds beyond its limit after which a call that still has not come back is left to itself.
_SLACK = 2.0
#: The oldest API that we can speak; with it an engine is asked for its own.
_FIRST_API = "1.24"
#: The component that engines of Docker's own have, and Podman's have not.
DOCKERS_OWN = "Engine"
#: Answers of whatever stands before an engine, or of one that is going down: it has judged nothing.
_NOT_NOW = frozenset({429, 502, 503, 504})
#: What an engine says, as an internal error, while the runtime below it is away.
_RUNTIME_AWAY = ("containerd.sock", "transport is closing", "client connection is closing")


class Engine:
    """One engine. Its threads and clients are made when they are needed; `close` ends them."""

    def __init__(self, address: EngineAddress) -> None:
        """Raises ConfigurationError if the SDK is not installed here."""
        self._docker = import_extra("docker", extra="docker", user="DockerContainer")
        self.address = address
        #: What the SDK raises when the engine has said no.
        self.APIError: type[APIError] = self._docker.errors.APIError
        self._turns = asyncio.Semaphore(SSH_THREADS if address.kind == "ssh" else THREADS)
        # twice as many, for calls that were given up on and still wait in a read
        self._threads = ThreadPoolExecutor(2 * THREADS, thread_name_prefix="docker")
        self._own = threading.local()
        self._lock = threading.Lock()
        self._clients: list[APIClient] = []
        self._api: str | None = None
        self._id: str | None = None
        self._name: str | None = None
        self._ssh: Any = None
        self._closed = False

    @property
    def url(self) -> str:
        """The address as it is shown and compared."""
        return self.address.url

    @property
    def local(self) -> bool:
        """Whether paths and the loopback of this machine are those of the engine's machine.

        False until the engine has been asked: see `id`.
        """
        return self.address.on_this_machine and self._name == socket.gethostname()

    async def call(self, fn: "Callable[[APIClient], T]", *, seconds: float) -> T:
        """What `fn` returns, called with an SDK client in a thread. `seconds` bounds each of its reads, and the whole.

        Raises NotReachable if the engine does not answer; the SDK's APIError if it said no.
        """
        if self._closed:
            raise NotReachable(f"The connection to the Docker engine at {self.url} is closed.")
        try:
            await asyncio.wait_for(self._turns.acquire(), max(seconds, _TURN_SECONDS))
        except TimeoutError:
            raise self._unreachable("it is busy with other calls") from None
        try:
            waiting = asyncio.get_running_loop().run_in_executor(self._threads, self._call, fn, seconds)
            return await asyncio.wait_for(waiting, seconds + _SLACK)
        except TimeoutError:
            raise self._unreachable(f"no answer within {seconds:g} s") from None
        finally:
            self._turns.release()

    @property
    def host(self) -> str:
        """The name of the engine's machine, as that calls itself; until the engine has been asked, its address."""
        return self._name or self.url

    async def id(self) -> str:
        """What tells this engine from every other one, now and after its restart; asked once. Raises NotReachable."""
        return self._id or await self.ask_id()

    async def ask_id(self) -> str:
        """The id of the engine that answers now: behind one address there may be another one tomorrow."""
        try:
            self._name, found = await self.call(_identify, seconds=ASK_SECONDS)
        except self.APIError as error:
            raise self._unreachable(str(error.explanation or error)) from None
        self._id = found
        return found

    async def api_version(self) -> tuple[int, ...]:
        """The API that is spoken, e.g. (1, 41): what the engine can do goes by this, never by its name."""
        spoken = await self.call(lambda client: str(client.api_version), seconds=ASK_SECONDS)
        return tuple(int(part) for part in spoken.split("."))

    @contextlib.contextmanager
    def client(self, seconds: float) -> "Iterator[APIClient]":
        """A client for one long stream, for the thread that it is opened in. `seconds` bounds each read.

        What happens to the line in the block is raised as NotReachable.
        """
        with self._telling():
            made = self._new_client(seconds)
            try:
                yield made
            finally:
                made.close()

    async def close(self) -> None:
        """Hang up. Calls that are on their way end by their own limits."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()

    def _call(self, fn: "Callable[[APIClient], T]", seconds: float) -> T:
        with self._telling():
            try:
                return fn(self._client_of_thread(seconds))
            except self.APIError as error:
                # the engine was exchanged for another version while we held on to what the first one spoke
                if error.status_code != 400 or "client version" not in str(error.explanation or ""):
                    raise
            self._api = None
            self._drop_client_of_thread()
            return fn(self._client_of_thread(seconds))

    def _client_of_thread(self, seconds: float) -> "APIClient":
        client: APIClient | None = getattr(self._own, "client", None)
        if client is None or client.api_version != self._api:
            self._drop_client_of_thread()
            client = self._new_client(seconds)
            with self._lock:
                if not self._closed:
                    self._clients.append(client)
            self._own.client = client
        client.timeout = seconds  # type: ignore[assignment] # the HTTP library takes fractions
        return client

    def _drop_client_of_thread(self) -> None:
        client: APIClient | None = getattr(self._own, "client", None)
        self._own.client = None
        if client is not None:
            with self._lock:
                self._clients = [other for other in self._clients if other is not client]
            client.close()

    def _new_client(self, seconds: float) -> "APIClient":
        if self._api is None:
            with contextlib.closing(self._client_speaking(_FIRST_API, min(seconds, ASK_SECONDS))) as first:
                self._api = str(first.version(api_version=False)["ApiVersion"])
        return self._client_speaking(self._api, seconds)

    def _client_speaking(self, version: str, seconds: float) -> "APIClient":
        address = self.address
        if address.kind == "tcp":
            tls = tls_config(self._docker, address.tls) if address.tls is not None else False
            made: APIClient = self._docker.APIClient(address.url, version=version, timeout=seconds, tls=tls)
            if not address.on_this_machine:
                # proxies of the environment as the docker program takes them, and none of its certificates or logins
                import requests.utils

                made.proxies.update(requests.utils.get_environ_proxies(made.base_url))
        else:
            from penstock.infrastructure.docker import dialing

            if address.kind == "ssh":
                self._ssh = self._ssh or dialing.SSH(address.url)
                dial = self._ssh.dial
            else:
                dial = dialing.dial_socket(address.socket)
            made = self._docker.APIClient("unix:///unused", version=version, timeout=seconds)
            made.mount("http+docker://", dialing.Transport(dial))
        made.trust_env = False
        return made

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """What breaks on the way becomes NotReachable; what the engine has judged stays what it is."""
        import requests.exceptions
        import urllib3.exceptions

        try:
            yield
        except self.APIError as error:
            words = str(error.explanation or "")
            if error.status_code in _NOT_NOW or (
                error.status_code == 500 and any(word in words for word in _RUNTIME_AWAY)
            ):
                raise self._unreachable(f"{error.status_code} {words}".strip()) from None
            raise
        except (
            OSError,
            requests.exceptions.RequestException,
            urllib3.exceptions.HTTPError,
            self._docker.errors.DockerException,
        ) as error:
            raise self._unreachable(_words_of(error)) from None

    def _unreachable(self, words: str) -> NotReachable:
        said = f"{words}; {self._ssh.words()}" if self._ssh is not None and self._ssh.words() else words
        return NotReachable(f"The Docker engine at {self.url} does not answer: {said}.", hint=_fix(self.address, said))


def connect_from_environment() -> Engine:
    """The engine that this process's environment names. Raises ConfigurationError."""
    return Engine(engine_address(os.environ, Path.home()))


@contextlib.contextmanager
def stream(client: "APIClient", path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Iterator[Any]:
    """The answer to a POST, to be read line by line: for what the SDK itself would wait for without any limit.

    `path` is below the API's version. Raises the SDK's APIError if the engine says no.
    """
    raw: Any = client  # these parts of it are not in its types
    with contextlib.closing(raw._post(raw._url(path), params=params, headers=headers, stream=True)) as response:
        raw._raise_for_status(response)
        yield response


def inspect_image(client: "APIClient", image: str) -> dict[str, Any] | None:
    """What the engine says of an image that it has; None if it has none of that name."""
    from docker.errors import NotFound

    raw: Any = client
    try:
        found: dict[str, Any] = raw.inspect_image(image)
    except NotFound:
        return None
    return found


def components(client: "APIClient") -> list[str]:
    """The names of what the engine is made of; one of Docker's own has `DOCKERS_OWN` among them."""
    return [str(component.get("Name")) for component in client.version().get("Components") or ()]


def read_distribution(client: "APIClient", image: str, header: str) -> dict[str, Any]:
    """What the registry says of `image`, through the engine and with a login's `header`; nothing is fetched.

    Raises the SDK's APIError with the registry's words.
    """
    raw: Any = client
    found: dict[str, Any] = raw._result(
        raw._get(raw._url("/distribution/{0}/json", image), headers={"X-Registry-Auth": header}), json=True
    )
    return found


def _identify(client: "APIClient") -> tuple[str, str]:
    """The name of the engine's machine, and the engine's id. Podman invents another id for each answer: it has none."""
    first = client.info()
    name, found = str(first.get("Name") or ""), str(first.get("ID") or "")
    if not found or (DOCKERS_OWN not in components(client) and found != str(client.info().get("ID") or "")):
        found = f"{name}:{first.get('DockerRootDir') or ''}"
    return name, found


def _words_of(error: BaseException) -> str:
    """The innermost reason, which the HTTP library wraps several times."""
    seen: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in seen:
        seen.append(inner)
        wrapped = [part for part in (getattr(inner, "reason", None), *inner.args) if isinstance(part, BaseException)]
        inner = wrapped[0] if wrapped else inner.__cause__ or inner.__context__
    last = seen[-1]
    if isinstance(last, TimeoutError):
        return "no answer in time"
    if isinstance(last, OSError) and last.strerror:
        return last.strerror.lower() if last.strerror[:1].isupper() else last.strerror
    return str(last) or type(last).__name__


def _fix(address: EngineAddress, words: str) -> str:
    """What to do about an engine that cannot be reached."""
    named = f"Its address comes from {address.source}."
    if address.kind == "unix" and "permission denied" in words.lower():
        return (
            f"This user may not use that socket: add it to the group docker, or start the agent as one who may. {named}"
        )
    if address.kind == "unix":
        return (
            f"Is it running there (`systemctl status docker`)? DOCKER_HOST or DOCKER_CONTEXT names another one. {named}"
        )
    host = urlsplit(address.url).hostname
    if address.kind == "ssh":
        return f"`ssh {host} docker version` has to work without a question. {named}"
    if address.tls is None and "400" in words:
        return f"It may want TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH. {named}"
    return f"Does an engine listen there, and do the certificates fit, if there are any? {named}"
