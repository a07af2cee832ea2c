"""The driver's line to the launcher: starts one where there is none, and asks again on another line when one breaks."""

import asyncio
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
from typing import Any

from penstock import clock
from penstock.errors import NotReachable
from penstock.infrastructure.process.address import Address

_LAUNCHER = "penstock.infrastructure.process.launcher"
#: How long a launcher may take to be there, and to answer, in seconds.
_PATIENCE = 30.0
_START_AGAIN = 5.0
_PAUSES = (0.005, 0.01, 0.02, 0.05)
_LONGEST_ANSWER = 2**20


class Connection:
    """One line to the launcher of `address`, shared by all requests of one event loop. Opened when it is needed.

    `environment` is what a launcher is started with.
    """

    def __init__(self, address: Address, environment: dict[str, str]) -> None:
        self._address, self._environment = address, environment
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._opening = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None

    async def ask(self, operation: str, **content: Any) -> dict[str, Any]:
        """The launcher's answer. Raises ConnectionError if the line broke: whether it was done is then unknown.

        Raises NotReachable if no launcher can be started.
        """
        writer = await self._open()
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            writer.write(json.dumps({"id": number, "op": operation, **content}).encode() + b"\n")
            await writer.drain()
            return await asyncio.wait_for(answer, _PATIENCE)
        except TimeoutError:
            self._break(ConnectionError(f"the launcher has not answered for {_PATIENCE:g} seconds"))
            raise ConnectionError("the launcher does not answer") from None
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """Hang up. The launcher and its jobs are not touched."""
        self._break(ConnectionError("closed"))
        if self._listening is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    async def _open(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._writer is None:
                connection = await self._reach_launcher()
                connection.setblocking(False)
                try:
                    reader, self._writer = await asyncio.open_unix_connection(sock=connection, limit=_LONGEST_ANSWER)
                except BaseException:
                    connection.close()
                    raise
                self._listening = asyncio.create_task(self._listen(reader, self._writer))
            return self._writer

    async def _reach_launcher(self) -> socket.socket:
        deadline = clock.monotonic() + _PATIENCE
        start_at = clock.monotonic()
        pauses = itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1]))
        while True:
            try:
                return self._address.connect()
            except OSError as error:
                if clock.monotonic() > deadline:
                    raise NotReachable(
                        f"The launcher of local processes does not come up in {self._address.home}: {error}.",
                        hint=f"{self._address.log} says why.",
                    ) from None
            if clock.monotonic() >= start_at:
                start_at = clock.monotonic() + _START_AGAIN
                await asyncio.to_thread(self._start_launcher)
            await asyncio.sleep(next(pauses))

    def _start_launcher(self) -> None:
        home = self._address.home
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            log = os.open(self._address.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise NotReachable(
                f"The folder of local processes cannot be used: {error}.",
                hint="PENSTOCK_LAUNCHER_HOME sets another one.",
            ) from None
        try:
            subprocess.run(
                [sys.executable, "-m", _LAUNCHER, str(home), self._address.engine],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
                env=self._environment,
                start_new_session=True,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotReachable(f"The launcher of local processes cannot be started: {error}.") from None
        finally:
            os.close(log)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = json.loads(line)
                future = self._waiting.get(answer.get("id"))
                if future is not None and not future.done():
                    future.set_result(answer)
        except (OSError, ValueError):
            pass  # whatever it was, this line is of no use any more
        finally:
            if self._writer is writer:
                self._break(ConnectionError("the launcher has hung up"))
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _break(self, error: ConnectionError) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
