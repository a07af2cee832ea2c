"""Services that take messages, on sockets of this machine: over HTTP, and mail."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Arrived:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())


@dataclass
class Service:
    """What a service is asked, and what it answers: the next of `answers`, then 200 for ever."""

    url: str = ""
    arrived: list[Arrived] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)
    #: the header Retry-After of each answer
    retry_after: str = "0"
    #: requests are taken, and answered only while this is set
    open: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0


@contextmanager
def http_service(port: int = 0) -> Iterator[Service]:
    """A service over HTTP on that port; 0: any free one."""
    told = Service()
    told.open.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.arrived.append(Arrived(self.command, self.path, dict(self.headers), body))
            status, text = told.answers.pop(0) if told.answers else (200, "ok")
            told.open.wait(180)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Retry-After", told.retry_after)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def handle(self) -> None:
            with suppress(ConnectionError):  # whoever asked was killed
                super().handle()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", port), Handler) as server, _served(server):
        told.url = f"http://127.0.0.1:{server.server_port}"
        yield told
        told.open.set()


class MailServer(socketserver.ThreadingTCPServer):
    """Enough of SMTP for one client after another; `replies` stands in for what it would say to a command."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.commands: list[str] = []
        self.replies: dict[str, list[str]] = {}
        super().__init__(("127.0.0.1", 0), MailHandler)


class MailHandler(socketserver.StreamRequestHandler):
    server: MailServer

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        self.say("220 here")
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            verb = line.split()[0].upper()
            self.server.commands.append(line)
            if self.server.replies.get(verb):
                self.say(self.server.replies[verb].pop(0))
            elif verb == "EHLO":
                self.say("250-here\r\n250 AUTH PLAIN")
            elif verb == "AUTH":
                self.say("235 welcome")
            elif verb == "DATA":
                self.say("354 go on")
                lines = []
                while (text := self.rfile.readline().decode()) != ".\r\n":
                    lines.append(text)
                self.server.mails.append("".join(lines))
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


@contextmanager
def mail_service() -> Iterator[MailServer]:
    """A mail server on any free port."""
    with MailServer() as server, _served(server):
        yield server


@contextmanager
def _served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
