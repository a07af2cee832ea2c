"""Optional health endpoint for supervisors: GET /live, /ready and /metrics, plain text."""

import asyncio
import os
from collections.abc import Callable, Mapping

from penstock.errors import ConfigurationError

#: Seconds that a client may take to say what it wants.
REQUEST_SECONDS = 5.0

#: Says whether all is well, and why (not).
Probe = Callable[[], tuple[bool, str]]


async def serve(
    port: int, live: Probe, ready: Probe, metrics: Callable[[], Mapping[str, float]], host: str = "127.0.0.1"
) -> asyncio.Server:
    """Listen on `host`:`port`. Raises ConfigurationError if that cannot be."""

    def answer(path: str) -> tuple[int, str]:
        if path == "/metrics":
            return 200, exposition(metrics())
        probe = {"/live": live, "/ready": ready}.get(path)
        if probe is None:
            return 404, "There are /live, /ready and /metrics.\n"
        well, why = probe()
        return (200 if well else 503), why + "\n"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = (await reader.readline()).decode("latin-1").split()
                while (await reader.readline()).strip():
                    pass
                path = request[1].split("?")[0] if len(request) > 1 else ""
                writer.write(_response(*answer(path)))
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # whoever asked is gone, or is no HTTP client
        finally:
            writer.close()

    try:
        return await asyncio.start_server(talk, host, port)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise ConfigurationError(
            f"The health endpoint cannot listen on {host}:{port}: {why}",
            hint="Give another --health-port or --health-host, or find out who has it.",
        ) from error


def exposition(metrics: Mapping[str, float]) -> str:
    """Numbers in the Prometheus text format."""
    return "".join(f"penstock_agent_{name} {value:g}\n" for name, value in metrics.items())


def _response(status: int, text: str) -> bytes:
    body = text.encode()
    phrase = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}[status]
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body
