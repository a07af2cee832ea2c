"""A proxy that breaks things on purpose: it stands in front of a server and does to requests what networks do to them.

with FaultProxy(server.api_url) as proxy:
    proxy.add(Fault("drop_answer", path="/agents/poll", probability=0.05))
    client = get_sync_client(proxy.url)
"""

import asyncio
import random
import ssl
import threading
from collections import Counter
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

from penstock.testing.faults import Fault
from penstock.testing.ports import HeldPort
from penstock.testing.proxied import Proxied

__all__ = ["Fault", "FaultProxy"]

T = TypeVar("T")

#: Turns of the event loop after which a connection that it has taken from the system is among the open ones.
STEPS_OF_ACCEPTING = 5
HOST = "127.0.0.1"


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and forwards to `target` until the end of the block.

    `target` is ``http://HOST:PORT/PATH``, ``tcp://HOST:PORT``, ``unix:///PATH``, or ``https://HOST:PORT/PATH`` with `tls`,
    the context with which the proxy speaks to it; the proxy itself is spoken to in clear. With `http` (the default), requests
    are told apart and faults strike single requests, also on kept-alive connections; without it, bytes are passed on as
    they are and faults strike connections. `seed` makes chance repeatable. All knobs may be turned while it runs, from
    any thread.
    """

    def __init__(self, target: str, *, http: bool = True, seed: int = 0, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(target)
        if parts.scheme == "unix":
            self.target: tuple[str, int] | str = parts.path
        else:
            self.target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._path, self._scheme, self._http = parts.path if parts.scheme != "unix" else "", parts.scheme, http
        self._tls = tls
        self.faults: list[Fault] = []
        #: How often each kind of fault struck.
        self.injected: Counter[str] = Counter()
        #: Requests that came in (connections, without `http`), struck ones included.
        self.requests = 0
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[Proxied] = set()
        self._lines: WeakSet[asyncio.WriteTransport] = WeakSet()
        self.port = 0
        self._held = HeldPort()
        #: Cleared while the network is cut in two.
        self.passing = asyncio.Event()

    @property
    def url(self) -> str:
        """The target's URL with the proxy in its place; for a unix or https target, an HTTP URL."""
        scheme = "http" if self._scheme in {"unix", "http", "https"} else self._scheme
        return f"{scheme}://127.0.0.1:{self.port}{self._path}"

    @property
    def open_connections(self) -> int:
        """How many clients are connected now."""
        return len(self._open)

    def add(self, fault: Fault) -> Fault:
        """From now on this fault may strike. The first that fits a request is the one that does."""
        with self._lock:
            self.faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        with self._lock:
            self.faults.remove(fault)

    def clear(self) -> None:
        """No more faults. What was counted stays."""
        with self._lock:
            self.faults.clear()

    def partition(self, cut: bool = True) -> None:
        """True: nothing passes and nobody is told, neither on old connections nor on new ones. False: all goes on."""
        self._run(self._partition(cut))

    def refuse(self, refused: bool = True) -> None:
        """True: drop all connections and refuse new ones, as a machine does on which the server is down."""
        self._run(self._stop_listening() if refused else self._listen())

    def drop_connections(self) -> None:
        """Reset every open connection, in the middle of whatever it carries."""
        self._run(self._drop())

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request, which is counted; None if none does."""
        with self._lock:
            self.requests += 1
            for fault in self.faults:
                if fault.fits(method, path) and self._chance.random() < fault.probability:
                    fault.struck += 1
                    self.injected[fault.kind] += 1
                    return fault
        return None

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        self._run(self._partition(False))
        self._run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._stop_listening())
        self._run(self._hang_up())
        self._held.release()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]
            self._held.release()

    async def _stop_listening(self) -> None:
        server, self._server = self._server, None
        # first let nobody else in: a server that is closed forgets whom it is just letting in, and leaves that line open
        for listening in () if server is None else server.sockets:
            self._loop.remove_reader(listening.fileno())
        for _ in range(STEPS_OF_ACCEPTING):
            await asyncio.sleep(0)
        if server is not None:
            server.close()
            self._held.hold(HOST, self.port)
        await self._drop()

    async def _drop(self) -> None:
        conversations = list(self._open)
        for conversation in conversations:
            conversation.abort()
        await asyncio.gather(*(conversation.done.wait() for conversation in conversations))

    async def _hang_up(self) -> None:
        """Close what is closed on this side and still has something to send, to somebody who does not read."""
        for line in list(self._lines):
            line.abort()
        await asyncio.sleep(0)

    async def _partition(self, cut: bool) -> None:
        if cut:
            self.passing.clear()
        else:
            self.passing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Proxied(self.target, self.strike, self.passing, reader, writer, self._tls, self._lines)
        self._open.add(conversation)
        try:
            await (conversation.speak_http() if self._http else conversation.pass_bytes())
        finally:
            self._open.discard(conversation)
