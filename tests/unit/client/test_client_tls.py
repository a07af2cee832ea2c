"""HTTPS: a certificate that is trusted, and one that is not."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.client import admin
from penstock.client.transport import Transport
from penstock.errors import Unreachable


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *_: Any) -> None:
        """Nothing: the output belongs to the tests."""


class Server(HTTPServer):
    handshakes = 0

    def get_request(self) -> Any:
        self.handshakes += 1
        return super().get_request()

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust us hangs up: that is what is tested."""


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_trusted_server_is_spoken_to(server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transport = Transport(f"https://127.0.0.1:{server.server_address[1]}/api", max_retries=0)
    assert transport.send(admin.read_health()) is True
    assert transport.send(admin.read_health()) is True
    transport.close()


def test_an_untrusted_server_is_not_asked_again_and_again(server: Server) -> None:
    transport = Transport(f"https://127.0.0.1:{server.server_address[1]}/api", max_retries=5)
    with pytest.raises(Unreachable, match="certificate verify failed"):
        transport.send(admin.read_health())
    assert server.handshakes == 1
    transport.close()
