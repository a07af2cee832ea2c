"""How containers have ended. An end is looked at once: it does not change any more."""

import asyncio
import json
import signal
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penstock import clock
from penstock.errors import NotReachable
from penstock.infrastructure.docker.connection import Engine
from penstock.infrastructure.docker.observation import ENDED, Container
from penstock.infrastructure.docker.reasons import (
    History,
    may_not_have_run,
    needs_history,
    parse_time,
    read_history,
    was_killed,
)
from penstock.infrastructure.docker.starting import ASK_SECONDS, inspect

if TYPE_CHECKING:
    from docker import APIClient

#: Most ends that are kept.
_MOST_KEPT = 4096
#: Seconds after the end of a container within which the engine writes down what it did to it.
_AFTERMATH = 0.25
#: How long at most it is looked at whether an engine that is busy writes that down of a SIGKILL that it has not sent itself.
_LATE_AFTERMATH = 3.0
#: Seconds before the start of a container from which on its events are asked for.
_BEFORE = 5.0
#: How often in a row they may stay away, while the engine answers, before an end is told without them.
_MOST_UNHEARD = 3

End = tuple[dict[str, Any], History]


class Endings:
    """The ends of containers of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, End] = {}
        self._unheard = 0

    async def of(self, ids: Sequence[str]) -> dict[str, End]:
        """State and history of these ended containers; those that do not exist or run again are left out.

        Raises NotReachable.
        """
        new = [each for each in ids if each not in self._known]
        if new:
            await self._look_at(new)
        return {each: self._known[each] for each in ids if each in self._known}

    async def times(self, ids: Sequence[str]) -> dict[str, datetime | None]:
        """When these ended containers ended. Raises NotReachable."""
        return {each: parse_time(state.get("FinishedAt")) for each, (state, _) in (await self.of(ids)).items()}

    def forget(self, ids: Iterable[str]) -> None:
        """These run, whatever they did before."""
        for each in ids:
            self._known.pop(each, None)

    async def _look_at(self, ids: Sequence[str]) -> None:
        found = {each["Id"]: each for each in await asyncio.gather(*map(self._inspect, ids)) if each is not None}
        unclear = {each: whole for each, whole in found.items() if needs_history(whole["State"])}
        histories = await self._histories(unclear) if unclear else {}
        late = await asyncio.gather(
            *(self._with_memory(unclear[each], histories.get(each, History())) for each in unclear)
        )
        found.update((whole["Id"], whole) for whole in late)
        for each, whole in found.items():
            history = histories.get(each, History())
            if may_not_have_run(whole["State"]):
                history = replace(history, only_words=await self._only_words(each))
            self._known[each] = (whole["State"], history)
        while len(self._known) > _MOST_KEPT:
            self._known.pop(next(iter(self._known)))

    async def _inspect(self, container_id: str) -> dict[str, Any] | None:
        found = await inspect(self._engine, container_id)
        if found is None or Container.inspected(found).status not in ENDED:
            return None
        state = found["State"]
        if needs_history(state) and (found.get("HostConfig") or {}).get("Memory"):
            # that it ran out of memory may be written down a moment after its end
            await asyncio.sleep(_AFTERMATH)
            found = await inspect(self._engine, container_id) or found
        return found

    async def _with_memory(self, found: dict[str, Any], history: History) -> dict[str, Any]:
        """The same container, when it is known whether it was killed for lack of memory, or no more to be expected."""
        sent = history.restarted or any(number == signal.SIGKILL for number, _ in history.signals)
        limited = bool((found.get("HostConfig") or {}).get("Memory"))
        deadline = clock.monotonic() + _LATE_AFTERMATH
        while limited and not sent and was_killed(found["State"]) and clock.monotonic() < deadline:
            await asyncio.sleep(_AFTERMATH)
            again = await inspect(self._engine, found["Id"])
            if again is None or Container.inspected(again).status not in ENDED:
                break
            found = again
        return found

    async def _only_words(self, container_id: str) -> str:
        """The one line that a container has printed; "" if it was another number of them, or cannot be read."""

        def ask(client: "APIClient") -> bytes:
            found: bytes = client.logs(container_id, tail=2)
            return found

        try:
            lines = (await self._engine.call(ask, seconds=ASK_SECONDS)).decode(errors="replace").split("\n")
        except self._engine.APIError:
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return said[0] if len(said) == 1 else ""

    async def _histories(self, found: dict[str, dict[str, Any]]) -> dict[str, History]:
        """What the engine remembers of these containers. An engine that does not tell remembers nothing.

        Raises NotReachable, unless it goes on answering everything else.
        """
        began, finished = (
            [time for whole in found.values() if (time := parse_time(whole["State"].get(name))) is not None]
            for name in ("StartedAt", "FinishedAt")
        )
        try:
            info: dict[str, Any] = await self._engine.call(lambda client: client.info(), seconds=ASK_SECONDS)
            # an engine that is busy tells of a start, and of what it did, long after a short container has ended
            now = parse_time(info.get("SystemTime")) or clock.now()
            since = min(began, default=now).timestamp() - _BEFORE
            until = max(now.timestamp(), max(finished, default=now).timestamp() + _AFTERMATH)
            events = await self._engine.call(lambda client: _events(client, since, until), seconds=ASK_SECONDS)
        except self._engine.APIError:
            return {}
        except NotReachable:
            self._unheard += 1
            if self._unheard < _MOST_UNHEARD:
                raise
            return {}
        self._unheard = 0
        if events is None:
            return {}
        made, live_restore = await self._network_made(), bool(info.get("LiveRestoreEnabled"))
        return {
            each: read_history(events, each, parse_time(whole["State"].get("StartedAt")), made, live_restore)
            for each, whole in found.items()
        }

    async def _network_made(self) -> datetime | None:
        """When the default network was made: when the engine was started, if it has that network."""
        try:
            found: dict[str, Any] = await self._engine.call(
                lambda client: client.inspect_network("bridge"), seconds=ASK_SECONDS
            )
        except self._engine.APIError:
            return None
        return parse_time(found.get("Created"))


def _events(client: "APIClient", since: float, until: float) -> list[dict[str, Any]] | None:
    """The events that the engine remembers of that time, by its clock; None if it does not tell. It answers when that
    has passed."""
    answer = client.get(
        f"{client.base_url}/v{client.api_version}/events",
        params={"since": f"{since:.6f}", "until": f"{until:.6f}"},
        timeout=client.timeout,
    )
    with answer:
        if answer.status_code >= 400:
            return None
        return [json.loads(line) for line in answer.iter_lines() if line]
