"""What a driver sees of its jobs: a mirror per place and owner, and the words of events where they explain something."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from penstock import clock
from penstock.errors import NotReachable, PenstockError
from penstock.infrastructure.base import Handle
from penstock.infrastructure.kubernetes import objects, observation
from penstock.infrastructure.kubernetes.calls import Namespace
from penstock.infrastructure.kubernetes.connection import Refusal
from penstock.infrastructure.kubernetes.observation import Judgement
from penstock.infrastructure.kubernetes.places import Places, answered
from penstock.infrastructure.kubernetes.watches import Mirror
from penstock.model.attempts import Observation

#: Seconds for which the events of an object are not asked for again: of one that waits, and of one that has ended, whose
#: reason may be told a moment later, and before the end is written down.
_EVENTS_SECONDS, _LAST_EVENTS_SECONDS = 3.0, 1.0
#: Objects whose events one look asks for, and those whose events are remembered.
_MOST_EVENTS, _REMEMBERED = 20, 1000
#: Jobs that one look asks for one by one, at once.
_MOST_SEARCHES = 10


class Pictures:
    """`news` is called whenever something may have changed. To be used within one event loop, and closed there."""

    def __init__(self, places: Places, news: Callable[[], None]) -> None:
        self._places, self._news = places, news
        self._mirrors: dict[tuple[str, str, str], Mirror] = {}
        self._events: OrderedDict[str, tuple[float, dict[str, str]]] = OrderedDict()
        self._searches = asyncio.Semaphore(_MOST_SEARCHES)

    def mirror(self, namespace: Namespace, owner: str) -> Mirror:
        place = (namespace.cluster, namespace.name, owner)
        if place not in self._mirrors:
            self._mirrors[place] = Mirror(namespace.connection, namespace.name, owner, self._news)
        return self._mirrors[place]

    async def confirmed(self, handle: Handle) -> Mirror:
        """The picture that the job is in, as it is now. Raises NotReachable."""
        namespace = await self._places.of(handle)
        mirror = self.mirror(namespace, handle.data["owner"])
        try:
            await answered(mirror.confirm())
        except NotReachable:
            self._places.is_silent(namespace.cluster)
            raise
        self._places.has_answered(namespace.cluster)
        return mirror

    async def recent(self, handle: Handle) -> Mirror:
        """The same, perhaps as it was a moment ago. Raises NotReachable."""
        mirror = self.mirror(await self._places.of(handle), handle.data["owner"])
        return mirror if mirror.is_current() else await self.confirmed(handle)

    async def look(self, handles: Sequence[Handle]) -> list[Judgement]:
        """What can be said of each job now, in order."""
        places = {_place(handle): handle for handle in handles}
        found = await asyncio.gather(*(self.confirmed(handle) for handle in places.values()), return_exceptions=True)
        seen = dict(zip(places, found, strict=True))
        pairs = [(seen[_place(handle)], handle) for handle in handles]
        missing = await asyncio.gather(*(self._search(mirror, handle) for mirror, handle in pairs))
        judged = [
            missed or self._judge(mirror, handle.data["name"])
            for (mirror, handle), missed in zip(pairs, missing, strict=True)
        ]
        told = await self._ask_why(zip(handles, judged, strict=True))
        return [
            self._judge(mirror, handle.data["name"]) if known.puzzling in told else known
            for (mirror, handle), known in zip(pairs, judged, strict=True)
        ]

    async def close(self) -> None:
        for mirror in self._mirrors.values():
            await mirror.close()

    def _judge(self, mirror: Mirror | BaseException, name: str) -> Judgement:
        assert isinstance(mirror, Mirror), "what could not be confirmed is judged by _search"
        job = mirror.job(name)
        if job is None:
            return _missing(mirror, name)
        pods, gone = mirror.pods_of(name), mirror.gone_of(name)
        uids = [objects.uid_of(item) for item in (job, *gone, *pods)]
        told = {uid: self._events[uid][1] for uid in uids if uid in self._events}
        return observation.judge(observation.evidence_of(job, pods, gone, told), clock.now())

    async def _search(self, mirror: Mirror | BaseException, handle: Handle) -> Judgement | None:
        """Ask for a job that the picture does not have. None: it has it. What was raised is why it cannot be seen."""
        if not isinstance(mirror, Mirror):
            if not isinstance(mirror, PenstockError):
                raise mirror
            return _unseen(mirror)
        name = handle.data["name"]
        if mirror.job(name) is not None:
            return None
        async with self._searches:
            try:
                namespace = await self._places.of(handle)
                job, pods = await answered(namespace.job(name)), await answered(namespace.pods_of(name))
            except NotReachable as error:
                return _unseen(error)
        mirror.see_pods(name, pods)
        if job is not None:
            mirror.jobs.put(job)
            return None
        active = [pod for pod in pods if objects.is_active(pod)]
        if not active:
            return _missing(mirror, name)
        message = f"The Job was deleted; its pod {active[0]['metadata']['name']} has not ended yet."
        return Judgement(Observation(status="RUNNING", observed_at=clock.now(), message=message))

    async def _ask_why(self, judged: Iterable[tuple[Handle, Judgement]]) -> set[str]:
        """Ask what the cluster says of objects that wait for something, or ended without a reason. Returns their uids."""
        wanted: list[tuple[Namespace, str]] = []
        now = clock.monotonic()
        for handle, found in judged:
            pause = _EVENTS_SECONDS if found.observation.status == "PENDING" else _LAST_EVENTS_SECONDS
            uid = found.puzzling
            if uid is not None and now - self._events.get(uid, (-pause, {}))[0] >= pause:
                wanted.append((await self._places.of(handle), uid))
        del wanted[_MOST_EVENTS:]
        await asyncio.gather(*(self._read_events(*each) for each in wanted))
        return {uid for _, uid in wanted}

    async def _read_events(self, namespace: Namespace, uid: str) -> None:
        words: dict[str, str] = {}
        with suppress(NotReachable, Refusal):  # they only explain: without the right to them, less is said
            words = await namespace.events(uid)
        self._events[uid] = (clock.monotonic(), words)
        self._events.move_to_end(uid)
        while len(self._events) > _REMEMBERED:
            self._events.popitem(last=False)


def _place(handle: Handle) -> tuple[str, str, str]:
    return handle.data["cluster"], handle.data["namespace"], handle.data["owner"]


def _unseen(error: PenstockError) -> Judgement:
    return Judgement(Observation(status="UNKNOWN", observed_at=clock.now(), message=error.message))


def _missing(mirror: Mirror, name: str) -> Judgement:
    message = f"There is no Job {name} in namespace {mirror.namespace}."
    return Judgement(Observation(status="MISSING", observed_at=clock.now(), message=message))
