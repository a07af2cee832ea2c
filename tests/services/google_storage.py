"""An emulator of Google Cloud Storage (package gcp-storage-emulator) for tests, with an address that gives out tokens."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass
class Emulator:
    """`account` is what the key file of its service account would hold; `env` makes Google's libraries speak to it."""

    url: str
    account: dict[str, str] = field(repr=False)
    storage: Any = field(repr=False)

    @property
    def env(self) -> dict[str, str]:
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            # Otherwise gcsfs asks for a bucket's layout over gRPC, which the emulator does not speak.
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        }

    def make_bucket(self, name: str) -> None:
        from gcp_storage_emulator.handlers.buckets import create_bucket

        create_bucket(name, self.storage)


@contextmanager
def emulator() -> Iterator[Emulator]:
    """A running one, empty. Raises ImportError if the package is not installed."""
    from gcp_storage_emulator.server import RequestHandler
    from gcp_storage_emulator.storage import Storage

    storage = Storage(use_memory_fs=True)
    with _serving(partial(RequestHandler, storage)) as url, _serving(_Tokens) as tokens:
        yield Emulator(url, service_account(f"{tokens}/token"), storage)


class _Server(HTTPServer):
    request_queue_size = 128  # many ask at once, and it answers one after the other


@contextmanager
def _serving(handler: Any) -> Iterator[str]:
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Tokens(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = json.dumps({"access_token": "ya29", "expires_in": 3600}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def service_account(token_uri: str) -> dict[str, str]:
    """The key file of a service account that gets its tokens there."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "p-1",
        "private_key": key.decode(),
        "client_email": "a@example.com",
        "token_uri": token_uri,
    }
