"""The end of a container: asked to end, made to end, removed. Each call is short; what lasts is the waiting between them."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock import clock
from penstock.errors import InfrastructureError, NotReachable
from penstock.infrastructure.docker.connection import Engine
from penstock.infrastructure.docker.observation import ENDED, LIVE, Container
from penstock.infrastructure.docker.starting import ASK_SECONDS, inspect, words_of

if TYPE_CHECKING:
    from docker import APIClient

#: Seconds that the engine gets to end a container by force, and to remove one.
FORCE_SECONDS, REMOVE_SECONDS = 30.0, 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25


class Stop:
    """Stops one container. Two of them at once do no harm: the one with less grace decides."""

    def __init__(self, engine: Engine, container_id: str, grace: float) -> None:
        self._engine, self._id, self._grace = engine, container_id, grace

    async def run(self) -> None:
        """Return when it is confirmed not to run. Raises NotReachable, also if it does not end by force."""
        found = await inspect(self._engine, self._id)
        if found is None or _over(found):
            return
        if Container.inspected(found).status == "created":
            await self._remove_unstarted()
            return
        await self._send((found.get("Config") or {}).get("StopSignal") or "SIGTERM")
        if await self._ends_within(self._grace):
            return
        await self._send("SIGKILL")
        if not await self._ends_within(FORCE_SECONDS):
            raise NotReachable(f"The container {self._id[:12]} does not end: Docker cannot kill it.")

    async def _send(self, signal: str) -> None:
        """A paused container goes on by that, and an engine that starts containers again leaves this one alone."""
        await self._ignoring_refusal(lambda client: client.kill(self._id, signal))

    async def _ends_within(self, seconds: float) -> bool:
        deadline, pause = clock.monotonic() + seconds, _FIRST_PAUSE
        while True:
            found = await inspect(self._engine, self._id)
            if found is None or _over(found):
                return True
            status = Container.inspected(found).status
            left = deadline - clock.monotonic()
            if left <= 0:
                return False
            if status == "paused":
                await self._ignoring_refusal(lambda client: client.unpause(self._id))
            elif status == "restarting":
                await self._ignoring_refusal(lambda client: client.stop(self._id, timeout=1))
            await asyncio.sleep(min(pause, left))
            pause = min(_LONGEST_PAUSE, pause * 1.5)

    async def _ignoring_refusal(self, fn: "Callable[[APIClient], Any]") -> None:
        try:
            await self._engine.call(fn, seconds=ASK_SECONDS)
        except self._engine.APIError:
            return  # it has ended, or is in another state by now: the next look tells

    async def _remove_unstarted(self) -> None:
        """A container that was never started has nothing to say; without it, nobody can start it any more."""
        try:
            await remove(self._engine, self._id)
        except InfrastructureError as error:
            if isinstance(error, NotReachable):
                raise
            await self.run()  # it was started meanwhile


async def remove(engine: Engine, container_id: str) -> None:
    """Remove a container that does not run, with the volumes that only it has. One that is gone is removed.

    Raises InfrastructureError if it runs, or if the engine cannot; NotReachable.
    """
    deadline, pause = clock.monotonic() + REMOVE_SECONDS, _FIRST_PAUSE
    while True:
        found = await inspect(engine, container_id)
        if found is None:
            return
        if Container.inspected(found).status in LIVE:
            raise InfrastructureError(
                f"The container {Container.inspected(found).name} has not ended.", hint="Stop it before removing it."
            )
        words = ""
        try:
            await engine.call(lambda client: client.remove_container(container_id, v=True), seconds=REMOVE_SECONDS)
        except engine.APIError as error:
            words = words_of(error)  # being removed already, busy, or started meanwhile: the next look tells
        if clock.monotonic() > deadline:
            raise InfrastructureError(
                f"Docker cannot remove the container {container_id[:12]}: {words}", hint="The engine's log says more."
            )
        if words:
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 2)


def _over(found: dict[str, Any]) -> bool:
    return Container.inspected(found).status in ENDED
