"""A server that answers by script, over real sockets, and remembers what it was asked."""

import contextlib
import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """One request as it came in, and the number of the connection that it came by."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Act:
    """What the server does with one request: `answer` it (None: not at all), then `end` the connection, or keep it."""

    status: int = 200
    body: Any = True
    headers: dict[str, str] = field(default_factory=dict)
    answer: bool = True
    end: str | None = None  # "close", "reset" or "hang"
    raw: bytes | None = None

    def encoded(self) -> bytes:
        if self.raw is not None:
            return self.raw
        body = b"" if self.status == 204 else json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} Scripted"]
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **self.headers}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class ScriptedServer:
    """Takes the next act of its script for each request; after the last one it answers ``true``."""

    def __init__(self) -> None:
        self.script: list[Act] = []
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.api_url = f"http://127.0.0.1:{self.port}/api"
        self._connections = 0
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def then(self, *acts: Act) -> None:
        self.script.extend(acts)

    def close(self) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        with self._lock:
            for sock in self._sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections += 1
                self._sockets.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock, self._connections))
                self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with sock, sock.makefile("rb") as stream:
            try:
                while (asked := self._read(stream, number)) is not None:
                    with self._lock:
                        self.asked.append(asked)
                        act = self.script.pop(0) if self.script else Act()
                    if act.answer:
                        sock.sendall(act.encoded())
                    if act.end == "reset":
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if act.end == "hang":
                        self.closing.wait()
                    if act.end is not None:
                        return
            except OSError:
                return

    @staticmethod
    def _read(stream: Any, number: int) -> Asked | None:
        line = stream.readline().decode()
        if not line:
            return None
        method, target, _ = line.split(" ")
        headers = {}
        while (line := stream.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Asked(method, target, headers, stream.read(int(headers.get("content-length", 0))), number)
