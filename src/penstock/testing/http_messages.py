"""Just enough of HTTP/1.1 (RFC 9112) to tell where a message ends, for a proxy that passes its bytes on unchanged."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

CHUNK = 65536


@dataclass(frozen=True)
class Head:
    """A message's start line and headers, and the very bytes that they came in."""

    raw: bytes
    start: list[str]
    headers: dict[str, str]

    @property
    def chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def length(self) -> int | None:
        text = self.headers.get("content-length")
        return int(text) if text is not None else None

    @property
    def closes(self) -> bool:
        return "close" in self.headers.get("connection", "").lower()


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next message's head; None if the peer closed the connection instead. Raises ValueError if it is no HTTP."""
    try:
        first = await reader.readexactly(1)
        if not first.isalpha():
            # who speaks TLS waits for an answer before it says more: it is hung up on at once
            raise ValueError(f"not an HTTP message: it begins with {first!r}")
        raw = first + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = raw.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    start = lines[0].split(" ", 2)
    if len(start) < 2:
        raise ValueError(f"not an HTTP message: {lines[0]!r}")
    return Head(raw, start, headers)


async def request_body(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    """The bytes of a request's body as they come, with their chunk framing if they have one."""
    if head.chunked:
        async for piece in _chunks(reader):
            yield piece
    elif head.length:
        async for piece in _exactly(reader, head.length):
            yield piece


async def answer_body(reader: asyncio.StreamReader, head: Head, method: str) -> AsyncIterator[bytes]:
    """The bytes of an answer's body as they come; without a length, up to the end of the connection."""
    status = int(head.start[1])
    if method == "HEAD" or status in {204, 304} or status < 200:
        return
    if head.chunked:
        async for piece in _chunks(reader):
            yield piece
    elif head.length is not None:
        async for piece in _exactly(reader, head.length):
            yield piece
    else:
        while piece := await reader.read(CHUNK):
            yield piece


def is_framed(head: Head, method: str) -> bool:
    """Whether the end of this answer can be told without the end of its connection."""
    status = int(head.start[1])
    return method == "HEAD" or status in {204, 304} or head.chunked or head.length is not None


async def _exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    while length > 0:
        piece = await reader.read(min(length, CHUNK))
        if not piece:
            raise ConnectionError("the message ended too early")
        length -= len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        yield line
        if size == 0:
            break
        async for piece in _exactly(reader, size + 2):
            yield piece
    while True:  # trailers, up to an empty line
        line = await reader.readuntil(b"\r\n")
        yield line
        if line == b"\r\n":
            return
