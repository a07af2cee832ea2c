"""Which platforms answer: one that does not is not offered to the server, and is asked until it answers again."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock import clock
from penstock.agent.backoff import Backoff
from penstock.agent.changes import Changes
from penstock.agent.supervision import Supervisor
from penstock.errors import NotReachable, PenstockError

_log = logging.getLogger("penstock.agent")

#: Seconds between two questions to a platform that does not answer: the first, and the longest.
PROBE_SECONDS, PROBE_CAP = 1.0, 30.0
#: Seconds between two questions to a platform that answers itself, while it says nothing of some of its jobs.
DOUBT_SECONDS = 5.0
#: Configurations of one type that are remembered as leading elsewhere.
MOST_ASTRAY = 20

#: Asks the platform of a type, with a configuration, which place it is. Raises NotReachable when nobody answers.
Probe = Callable[[str, Any], Awaitable[object]]


@dataclass
class Away:
    """A platform that does not answer: since when, and what came of the last question."""

    why: str
    since: datetime = field(default_factory=clock.now)


class Availability:
    """By infrastructure type. A type with several places (clusters) is away only as long as it is known for one."""

    def __init__(self, supervisor: Supervisor, probe: Probe) -> None:
        self._supervisor = supervisor
        self._probe = probe
        self._away: dict[str, Away] = {}
        self._places: dict[str, set[str]] = {}
        #: the configuration by which a type's platform has answered last
        self._right: dict[str, Any] = {}
        #: those by which nobody answered while the type's platform did: they lead elsewhere
        self._astray: dict[str, deque[Any]] = defaultdict(lambda: deque(maxlen=MOST_ASTRAY))
        self._probing: set[str] = set()
        self._probed_at: dict[str, float] = {}
        self._back = Changes()
        self._changes = Changes()

    def change(self) -> Coroutine[Any, Any, bool]:
        """To be awaited: from now on, another type is away, or one is no longer."""
        return self._changes.next()

    def away(self) -> dict[str, Away]:
        """The types whose platform does not answer."""
        return dict(self._away)

    def said(self) -> list[str]:
        """A line on each of them, for people."""
        return [
            f"the platform of {slug} jobs has not answered since {away.since:%H:%M:%S} UTC: {away.why}"
            for slug, away in sorted(self._away.items())
        ]

    def has_answered(self, slug: str) -> bool:
        """Whether a platform of that type has ever said which place it is."""
        return slug in self._places

    def answered(self, slug: str, reach: str, config: Any) -> None:
        """The platform has said which place it is, asked with `config`."""
        self._right[slug] = config
        if config in self._astray[slug]:
            self._astray[slug].remove(config)
        # places that differ behind a slash only (namespaces of a cluster) are answered for by one
        self._places.setdefault(slug, set()).add(reach.partition("/")[0])
        if self._away.pop(slug, None) is not None:
            _log.warning("The platform of %s jobs answers again: its runs are taken again", slug)
            self._back.tell()
            self._changes.tell()

    def silent(self, slug: str, config: Any, why: str) -> None:
        """The platform did not answer when it was asked with `config`: it is asked on."""
        known = self._away.get(slug)
        if known is not None:
            known.why = why
        elif len(self._places.get(slug, ())) <= 1 and config not in self._astray[slug]:
            self._away[slug] = Away(why)
            self._changes.tell()
            _log.warning(
                "The platform of %s jobs does not answer, and its runs are not taken until it does: %s", slug, why
            )
        self._begin(slug, config)

    def doubt(self, slug: str, config: Any) -> None:
        """Something of the platform did not answer: ask it, in the background, unless that was done a moment ago."""
        if clock.monotonic() - self._probed_at.get(slug, float("-inf")) >= DOUBT_SECONDS:
            self._begin(slug, config)

    def _begin(self, slug: str, config: Any) -> None:
        if slug not in self._probing:
            self._probing.add(slug)
            self._probed_at[slug] = clock.monotonic()
            self._supervisor.spawn(f"probe {slug}", self._ask(slug, config))

    async def back(self, seconds: float) -> bool:
        """Wait until a platform answers again that did not, `seconds` at most; whether one does."""
        try:
            async with asyncio.timeout(seconds):
                return await self._back.next()
        except TimeoutError:
            return False

    async def _ask(self, slug: str, config: Any) -> None:
        """Ask until there is an answer; what that is, `answered` and `silent` are told by the probe itself."""
        backoff = Backoff(first=PROBE_SECONDS, cap=PROBE_CAP)
        try:
            while True:
                try:
                    if await self._leads_astray(slug, config):
                        return
                    await self._probe(slug, config)
                    return
                except NotReachable:
                    await asyncio.sleep(backoff.next())
                except Exception as error:
                    # it is there, or nobody can say: the next run will find out, and tell
                    said = error or type(error).__name__
                    _log.warning("The platform of %s jobs does not say which place it is: %s", slug, said)
                    self._away.pop(slug, None)
                    self._changes.tell()
                    return
        finally:
            self._probing.discard(slug)

    async def _leads_astray(self, slug: str, config: Any) -> bool:
        """Whether it is the configuration that leads nowhere, while the platform answers by the one that was right before.

        One wrong block keeps no other run of its type from being taken.
        """
        right = self._right.get(slug)
        if right is None or right == config:
            return False
        try:
            await self._probe(slug, right)
        except PenstockError:
            return False
        if config not in self._astray[slug]:
            self._astray[slug].append(config)
        with suppress(NotReachable):
            await self._probe(slug, config)  # it may be back just now, and then leads there
        return True
