"""Bodies that are read from files while they are sent."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.client.call import Call, Upload, json_object
from penstock.client.transport import Transport
from penstock.errors import Invalid, Unreachable

ANSWER = b'{"code": "too_large", "message": "not so much"}'
HEAD = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)


class Impatient:
    """Reads the beginning of each request, answers `said`, and hangs up."""

    def __init__(self, said: bytes) -> None:
        self.asked = 0
        self._said = said
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked += 1
                connection.recv(65536)
                connection.sendall(self._said)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@contextlib.contextmanager
def impatient(said: bytes) -> Iterator[Impatient]:
    server = Impatient(said)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def upload(tmp_path: Path) -> Call[dict[str, object]]:
    """More than any buffer between two sockets holds."""
    file = tmp_path / "large"
    with file.open("wb") as opened:
        opened.truncate(50_000_000)
    body = Upload(lambda: file.open("rb"), 50_000_000, "application/gzip")
    return Call("POST", "/bundles/", json_object, body=body)


def test_whoever_refuses_an_upload_before_all_has_come_is_heard(upload: Call[dict[str, object]]) -> None:
    with impatient(HEAD + ANSWER) as server:
        transport = Transport(server.url, max_retries=3)
        with pytest.raises(Invalid, match="not so much"):
            transport.send(upload)
        transport.close()
        assert server.asked == 1, "a refusal is not asked for again"


def test_whoever_hangs_up_amid_an_upload_without_a_word_is_asked_again(upload: Call[dict[str, object]]) -> None:
    with impatient(b"") as server:
        transport = Transport(server.url, max_retries=2, retry_seconds=0.01)
        with pytest.raises(Unreachable, match="3 tries"):
            transport.send(upload)
        transport.close()
        assert server.asked == 3
