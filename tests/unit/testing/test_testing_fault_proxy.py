"""The fault proxy, between http.client and a real HTTP server."""

import contextlib
import gc
import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.testing import Fault, FaultProxy, wait_until


class Target(ThreadingHTTPServer):
    """Answers with what it was asked; counts what it acted on. ``/stream`` streams chunks until it is told to end."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.acted: Counter[str] = Counter()
        self.end_stream = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api"

    def handle_error(self, *_: Any) -> None:
        """Broken connections are what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Target

    def do_GET(self) -> None:
        self.server.acted[self.path] += 1
        if self.path == "/api/stream":
            self._stream()
        elif self.path == "/api/upgrade":
            self._echo_backwards()
        else:
            self._answer(b"got")

    def do_POST(self) -> None:
        self.server.acted[self.path] += 1
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(body)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.end_headers()

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing: the output belongs to the tests."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _echo_backwards(self) -> None:
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        while data := self.connection.recv(1000):
            self.wfile.write(data[::-1])
        self.close_connection = True

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.server.end_stream.wait()
        self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.end_stream.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(target: Target) -> Iterator[FaultProxy]:
    with FaultProxy(target.url) as proxy:
        yield proxy


@contextlib.contextmanager
def connected(proxy: FaultProxy, timeout: float = 60) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, method: str = "GET", path: str = "/api/x", body: Any = None) -> bytes:
    connection.request(method, path, body=body, encode_chunked=not isinstance(body, bytes | None))
    response = connection.getresponse()
    return b"%d " % response.status + response.read()


def test_without_faults_everything_passes_on_one_kept_connection(target: Target, proxy: FaultProxy) -> None:
    assert proxy.url == f"http://127.0.0.1:{proxy.port}/api"
    big = bytes(range(256)) * 4000
    with connected(proxy) as connection:
        assert ask(connection) == b"200 got"
        first = connection.sock
        assert ask(connection, "POST", body=big) == b"200 " + big
        assert ask(connection, "POST", body=iter([b"in ", b"chunks"])) == b"200 in chunks"
        assert ask(connection, "HEAD") == b"200 "
        assert ask(connection, "DELETE") == b"204 "
        assert ask(connection) == b"200 got"
        assert connection.sock is first
    assert (proxy.requests, sum(proxy.injected.values())) == (6, 0)


def test_a_dropped_answer_was_acted_on_and_nobody_is_told(target: Target, proxy: FaultProxy) -> None:
    fault = proxy.add(Fault("drop_answer", method="POST", path="/api/x$", times=1))
    with connected(proxy) as connection:
        with pytest.raises(http.client.RemoteDisconnected):
            ask(connection, "POST", body=b"1")
        assert ask(connection, "POST", body=b"1") == b"200 1"
    assert (target.acted["/api/x"], fault.struck, proxy.injected["drop_answer"]) == (2, 1, 1)


def test_a_cut_request_never_arrives(target: Target, proxy: FaultProxy) -> None:
    proxy.add(Fault("cut", times=1))
    with connected(proxy) as connection:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            ask(connection, "POST", body=b"1")
        assert target.acted.total() == 0
        assert ask(connection) == b"200 got"


def test_an_injected_status_keeps_the_connection_and_strikes_only_what_it_names(
    target: Target, proxy: FaultProxy
) -> None:
    fault = proxy.add(Fault("status", method="POST", path="/api/busy", status=429, retry_after="7"))
    with connected(proxy) as connection:
        connection.request("POST", "/api/busy", body=b"x" * 100_000)
        response = connection.getresponse()
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        assert b"injected" in response.read()
        sock = connection.sock
        assert ask(connection, "GET", "/api/busy") == b"200 got"
        assert ask(connection, "POST", "/api/idle", b"y") == b"200 y"
        assert connection.sock is sock
        proxy.remove(fault)
        assert ask(connection, "POST", "/api/busy", b"z") == b"200 z"
    assert proxy.injected == {"status": 1}


def test_a_cut_answer_ends_in_the_middle(proxy: FaultProxy) -> None:
    proxy.add(Fault("cut_answer", after_bytes=3, times=1))
    with connected(proxy) as connection:
        connection.request("POST", "/api/x", body=b"abcdef")
        response = connection.getresponse()
        with pytest.raises(http.client.IncompleteRead) as caught:
            response.read()
        assert caught.value.partial == b"abc"


def test_a_delay_comes_before_the_request_is_passed_on(target: Target, proxy: FaultProxy) -> None:
    proxy.add(Fault("delay", seconds=0.2))
    with connected(proxy) as connection:
        started = time.monotonic()
        assert ask(connection) == b"200 got"
        assert time.monotonic() - started >= 0.2


def test_a_stream_passes_as_it_comes_and_can_be_cut_at_any_time(target: Target, proxy: FaultProxy) -> None:
    with connected(proxy) as connection:
        connection.request("GET", "/api/stream")
        response = connection.getresponse()
        assert response.read(5) == b"first"
        proxy.drop_connections()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
    target.end_stream.set()
    with connected(proxy) as connection:
        assert ask(connection, path="/api/stream") == b"200 firstlast"


def test_after_an_upgrade_the_connection_is_a_pipe(proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        client.sendall(b"GET /api/upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        for word in (b"abc", b"\x00\xff"):
            client.sendall(word)
            assert client.recv(10) == word[::-1]


def test_behind_a_partition_nothing_is_heard_and_afterwards_all_goes_on(target: Target, proxy: FaultProxy) -> None:
    with connected(proxy) as old, connected(proxy, timeout=0.2) as new:
        assert ask(old) == b"200 got"
        old.sock.settimeout(0.2)
        proxy.partition(True)
        with pytest.raises(TimeoutError):
            ask(old)
        with pytest.raises(TimeoutError):
            ask(new)
        assert target.acted.total() == 1
        proxy.partition(False)
    with connected(proxy) as connection:
        assert ask(connection) == b"200 got"


def test_refusing_resets_what_is_open_and_lets_nobody_in_until_it_ends(proxy: FaultProxy) -> None:
    with connected(proxy) as connection:
        assert ask(connection) == b"200 got"
        port = proxy.port
        proxy.refuse(True)
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            ask(connection)
    with connected(proxy) as connection, pytest.raises(ConnectionRefusedError):
        ask(connection)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))  # it is kept for the proxy
    proxy.refuse(False)
    assert proxy.port == port
    with connected(proxy) as connection:
        assert ask(connection) == b"200 got"


def test_chance_is_repeatable(target: Target) -> None:
    def struck() -> list[bool]:
        results = []
        with FaultProxy(target.url, seed=42) as proxy:
            proxy.add(Fault("status", probability=0.3))
            with connected(proxy) as connection:
                for _ in range(50):
                    results.append(ask(connection).startswith(b"503"))
            assert proxy.injected["status"] == sum(results)
        return results

    first = struck()
    assert 0 < sum(first) < 50
    assert struck() == first


def test_a_target_that_is_down_looks_as_if_it_hung_up() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # has a port, and does not listen there
        with (
            FaultProxy(f"http://127.0.0.1:{nobody.getsockname()[1]}") as proxy,
            connected(proxy) as connection,
            pytest.raises((ConnectionError, http.client.RemoteDisconnected)),
        ):
            ask(connection)


def test_bytes_that_are_no_http_pass_both_ways_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "target"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def echo() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    while data := connection.recv(1000):
                        connection.sendall(data[::-1])

        thread = threading.Thread(target=echo)
        thread.start()
        with FaultProxy(f"unix://{path}", http=False) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
                client.sendall(b"\x00\x01\xff")
                assert client.recv(10) == b"\xff\x01\x00"
            proxy.add(Fault("cut", times=1))
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
                wait_until(lambda: proxy.injected["cut"] == 1)
                with contextlib.suppress(ConnectionError):
                    assert client.recv(10) == b""
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
                client.sendall(b"ab")
                assert client.recv(10) == b"ba"
        thread.join()


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_who_comes_while_it_closes_leaves_no_line_open() -> None:
    """A line that was left open would be told of when it is collected."""
    over = threading.Event()

    def dial(port: int) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()

    for _ in range(2):
        over.clear()
        with FaultProxy("tcp://127.0.0.1:9", http=False) as proxy:
            proxy.partition()
            callers = [threading.Thread(target=dial, args=(proxy.port,)) for _ in range(3)]
            for caller in callers:
                caller.start()
            wait_until(lambda: proxy.open_connections > 0)
        over.set()
        for caller in callers:
            caller.join()
    gc.collect()
