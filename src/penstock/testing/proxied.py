"""One connection through the fault proxy."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from penstock.testing.faults import Fault
from penstock.testing.http_messages import CHUNK, Head, answer_body, is_framed, read_head, request_body

#: What may happen to a conversation that somebody breaks off; all of it means that it is over.
_OVER = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)


class Proxied:
    """A client's connection and, from the first request on that is passed on, one to the target."""

    def __init__(
        self,
        target: tuple[str, int] | str,
        strike: Callable[[str, str], Fault | None],
        passing: asyncio.Event,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: ssl.SSLContext | None = None,
        lines: "WeakSet[asyncio.WriteTransport] | None" = None,
    ) -> None:
        self._tls = tls
        #: every line that was ever open: one that is closed may yet have something to send
        self._lines = WeakSet() if lines is None else lines
        self._lines.add(writer.transport)
        self._target, self._strike, self._passing = target, strike, passing
        self._reader, self._writer = reader, writer
        self._upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._task = asyncio.current_task()
        self._aborted = False
        self.done = asyncio.Event()

    def abort(self) -> None:
        """Reset both connections now."""
        self._aborted = True
        if self._task is not None:
            self._task.cancel()

    async def speak_http(self) -> None:
        """Pass on one request after the other until somebody closes, or a fault does."""
        await self._until_over(self._requests())

    async def pass_bytes(self) -> None:
        """Pass bytes on in both directions; a fault strikes the connection as a whole."""
        await self._until_over(self._tunnel_with_faults())

    async def _until_over(self, conversation: Coroutine[Any, Any, None]) -> None:
        try:
            await conversation
        except _OVER:
            pass
        except asyncio.CancelledError:
            # Aborted by the proxy itself: the end of this task, not a cancellation that somebody waits for.
            if not self._aborted:
                raise
        finally:
            self._close()
            self.done.set()

    def _close(self) -> None:
        self._writer.transport.abort() if self._aborted else self._writer.close()
        if self._upstream is not None:
            # TLS would take leave first, for which nobody waits here
            abort = self._aborted or self._tls is not None
            self._upstream[1].transport.abort() if abort else self._upstream[1].close()

    async def _requests(self) -> None:
        going_on = True
        while going_on:
            head = await read_head(self._reader)
            if head is None:
                return
            await self._passing.wait()
            going_on = await self._request(head, self._strike(head.start[0], head.start[1]))

    async def _request(self, head: Head, fault: Fault | None) -> bool:
        """Pass on one request, as far as `fault` lets it; False if the connection is done."""
        kind = fault.kind if fault else None
        if fault and kind == "delay":
            await asyncio.sleep(fault.seconds)
        elif kind == "cut":
            return False
        elif fault and kind == "status":
            async for _ in request_body(self._reader, head):
                pass
            await _write(self._writer, fault.answer())
            return not head.closes
        reader, writer = await self._connect()
        await _write(writer, head.raw)
        # At the same time as its answer: the target may answer before it has read all, or ask for the body first.
        sending = asyncio.create_task(_pass(request_body(self._reader, head), writer, self._passing))
        try:
            return await self._answer(head, reader, fault, sending)
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError, *_OVER):
                await sending

    async def _answer(
        self, request: Head, reader: asyncio.StreamReader, fault: Fault | None, sending: "asyncio.Task[None]"
    ) -> bool:
        method, kind = request.start[0], fault.kind if fault else None
        answer = await read_head(reader)
        while answer is not None and answer.start[1].startswith("1") and answer.start[1] != "101":
            await _write(self._writer, answer.raw)
            answer = await read_head(reader)
        if answer is None:
            return False
        await self._passing.wait()
        if kind == "drop_answer":
            async for _ in answer_body(reader, answer, method):
                pass
            return False
        await _write(self._writer, answer.raw)
        if answer.start[1] == "101":
            await self._tunnel()
            return False
        if fault and kind == "cut_answer":
            await _pass(_first(answer_body(reader, answer, method), fault.after_bytes), self._writer, self._passing)
            return False
        await _pass(answer_body(reader, answer, method), self._writer, self._passing)
        if not sending.done():
            return False  # the target answered without reading all: the rest of the request is still on its way
        return is_framed(answer, method) and not (request.closes or answer.closes)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._upstream is not None and not self._upstream[0].at_eof():
            return self._upstream
        if self._upstream is not None:
            self._upstream[1].transport.abort() if self._tls is not None else self._upstream[1].close()
        if isinstance(self._target, str):
            self._upstream = await asyncio.open_unix_connection(self._target)
        else:
            self._upstream = await asyncio.open_connection(*self._target, ssl=self._tls)
        self._lines.add(self._upstream[1].transport)
        return self._upstream

    async def _tunnel_with_faults(self) -> None:
        await self._passing.wait()
        fault = self._strike("", "")
        if fault and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        elif fault:
            self._aborted = True
            return
        await self._tunnel()

    async def _tunnel(self) -> None:
        reader, writer = await self._connect()
        async with asyncio.TaskGroup() as directions:
            directions.create_task(self._stream(self._reader, writer))
            directions.create_task(self._stream(reader, self._writer))

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(*_OVER):
            await _pass(_pieces(reader), writer, self._passing)
            if writer.can_write_eof():
                writer.write_eof()


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _pass(pieces: AsyncIterator[bytes], writer: asyncio.StreamWriter, passing: asyncio.Event) -> None:
    async for piece in pieces:
        await passing.wait()
        await _write(writer, piece)


async def _pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(CHUNK):
        yield piece


async def _first(pieces: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if len(piece) >= count:
            yield piece[:count]
            return
        count -= len(piece)
        yield piece
