"""The end of a driver whose cluster does not let go."""

import asyncio
import gc
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.infrastructure.base import Handle
from penstock.infrastructure.kubernetes.driver import KubernetesDriver


class Deaf(ThreadingHTTPServer):
    """An API server that lists nothing, and says nothing more to who watches: not even that it has heard his leave."""

    daemon_threads = True
    watched: threading.Event
    over: threading.Event


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Deaf

    def do_GET(self) -> None:
        if "watch=" in self.path:
            self.server.watched.set()
            self.server.over.wait()
            self.close_connection = True
            return
        is_there = not self.path.partition("?")[0].endswith("/a-job")
        body = json.dumps({"metadata": {"resourceVersion": "1"}, "items": []} if is_there else {}).encode()
        self.send_response(200 if is_there else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the output belongs to the tests."""


@pytest.fixture
def deaf(certificate: Path) -> Iterator[Deaf]:
    with Deaf(("127.0.0.1", 0), Handler) as server:
        server.watched, server.over = threading.Event(), threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def test_no_line_is_left_open_that_waits_for_an_answer_which_does_not_come(
    deaf: Deaf, certificate: Path, tmp_path: Path
) -> None:
    cluster = {"server": f"https://127.0.0.1:{deaf.server_port}", "certificate-authority": str(certificate)}
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "me", "user": {}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))

    async def story() -> None:
        driver = KubernetesDriver({"KUBECONFIG": str(tmp_path / "kubeconfig")}, "flows")
        try:
            here = (await driver.reach(None)).removeprefix("kubernetes:").partition("/")[0]
            job = {"cluster": here, "namespace": "flows", "name": "a-job", "owner": "me", "keep": None}
            (seen,) = await driver.observe([Handle("kubernetes-job", 1, job)])
            assert seen.status == "MISSING"
            assert await asyncio.to_thread(deaf.watched.wait, 60)
        finally:
            await driver.close()

    asyncio.run(story())
    gc.collect()  # pytest makes an error of a line that was left open
