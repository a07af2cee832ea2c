"""The process that sends messages: started when there is one, fed through a pipe of which nobody else has an end."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from uuid import UUID

from penstock import clock, settings
from penstock.model.notifications import DeliveryOrder, DeliveryOutcome

#: Longest line that is read from it, in bytes: an outcome is far shorter.
_LONGEST_LINE = 1024 * 1024


class NotifierProcess:
    """One process of `penstock.notifier`. `wake` is called when there are outcomes or it has ended.

    Secrets reach it through its stdin alone. Its environment has none of the server's own.
    """

    def __init__(self, process: Process, wake: Callable[[], None]) -> None:
        self._process, self._wake = process, wake
        #: what has become of messages, until it was written down
        self.outcomes: list[DeliveryOutcome] = []
        #: message -> since when it is under way, by `clock.monotonic`
        self.under_way: dict[UUID, float] = {}
        self.last_used = clock.monotonic()
        self.ended = False
        self._reader = asyncio.create_task(self._read(), name="notifier-outcomes")

    @classmethod
    async def start(cls, wake: Callable[[], None]) -> "NotifierProcess":
        """Raises OSError if the system cannot start it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "penstock.notifier",
            stdin=PIPE,
            stdout=PIPE,
            env=_environment(),
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
        return cls(process, wake)

    async def send(self, orders: Iterable[DeliveryOrder]) -> None:
        """Hand it messages. If it is gone, they stay under way until somebody takes note of that."""
        assert self._process.stdin is not None
        lines = []
        for order in orders:
            self.under_way[order.id] = self.last_used = clock.monotonic()
            lines.append(order.model_dump_json().encode() + b"\n")
        # it may have just ended, which the reader notes, too; a loop says so in ways of its own
        with suppress(ConnectionError, RuntimeError):
            self._process.stdin.writelines(lines)
            await self._process.stdin.drain()

    def forget(self, outcomes: Sequence[DeliveryOutcome]) -> None:
        """The first of `outcomes` of this process were written down: these messages are not under way any more."""
        del self.outcomes[: len(outcomes)]
        for outcome in outcomes:
            self.under_way.pop(outcome.id, None)

    def slowest(self) -> float:
        """Seconds for which its longest message is under way; 0 if there is none."""
        return clock.monotonic() - min(self.under_way.values()) if self.under_way else 0.0

    def idle_seconds(self) -> float:
        """Seconds since it had something to do."""
        return 0.0 if self.under_way else clock.monotonic() - self.last_used

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def leave(self, patience: float) -> None:
        """Give it no more; returns when it has ended, which is after `patience` seconds at the latest."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(asyncio.shield(self._reader), patience)
        except TimeoutError:
            self.kill()
            await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.outcomes.append(DeliveryOutcome.model_validate_json(line))
            self.last_used = clock.monotonic()
            self._wake()
        await self._process.wait()
        self.ended = True
        self._wake()


def _environment() -> dict[str, str]:
    """Ours without secrets of the server: what sends messages for anybody who may save a block needs none of them."""
    secret = {setting.name for setting in settings.SETTINGS.values() if setting.secret}
    return {name: value for name, value in os.environ.items() if name not in secret}
