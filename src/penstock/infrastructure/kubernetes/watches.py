"""A picture of one owner's Jobs and pods in one namespace: list, then watch, then list again.

Two connections, however many Jobs there are. The watch only makes news quick: every `RELIST_SECONDS` a list puts right
whatever it missed, and what a caller needs now while no watch is open is listed for it.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from penstock import clock
from penstock.errors import NotReachable
from penstock.infrastructure.kubernetes.connection import Connection, Refusal
from penstock.infrastructure.kubernetes.objects import OWNER, job_of

_log = logging.getLogger("penstock.infrastructure.kubernetes")

#: Seconds that a watch is kept open; a list follows. With the silence, an end is known within half a minute even where a
#: watch is open and tells nothing.
RELIST_SECONDS = 20
#: Seconds of silence beyond that after which a watch counts as deaf: its server should have ended it.
SILENCE_SECONDS = 5.0
#: Seconds that the question takes at most whether the API server still answers.
CONFIRM_SECONDS = 5.0
#: Objects per page of a list.
PAGE = 500
#: Seconds between tries while the API server does not answer: the first, and most.
_FIRST_PAUSE, _MOST_PAUSE = 0.2, 5.0
#: Pods of one Job that are remembered after they are gone.
_REMEMBERED = 4

Object = dict[str, Any]


class Expired(Exception):
    """The version to go on from is too old: list again."""


class Collection:
    """The objects of one kind, kept like the server's. `changed` is told of each object, and whether it is gone."""

    def __init__(
        self, connection: Connection, path: str, selector: str, changed: Callable[[Object, bool], None]
    ) -> None:
        self.items: dict[str, Object] = {}
        #: Whether a watch is open that started from a list: `items` are the state now.
        self.current = False
        self.relists = 0
        self._connection, self._path, self._selector, self._changed = connection, path, selector, changed
        self._version = ""
        self._dropped: set[str] = set()
        #: those that were deleted before the watch told of it: it may yet tell what was before
        self._deleted: set[str] = set()
        self._listing: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """List all. Callers at the same time share one. Raises NotReachable, Refusal."""
        if self._listing is None or self._listing.done():
            self._listing = asyncio.create_task(self._list())
            self._listing.add_done_callback(_hear)
        await asyncio.shield(self._listing)

    async def follow(self) -> None:
        """Keep `items` like the server's, for ever."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self.refresh()
                await self._watch()
                pause = _FIRST_PAUSE
            except Expired:
                _log.debug("%s: the watch's version has expired, listing again", self._path)
            except (NotReachable, Refusal) as error:
                _log.debug("%s: the watch has broken: %s", self._path, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MOST_PAUSE)
            finally:
                self.current = False

    async def close(self) -> None:
        if self._listing is not None:
            self._listing.cancel()
            with suppress(asyncio.CancelledError, NotReachable, Refusal):
                await self._listing

    def put(self, item: Object) -> None:
        """Take over what the server answered about one object, unless something newer is known."""
        known = self.items.get(item["metadata"]["uid"])
        if known is None or _version(item) >= _version(known):
            self._keep(item)

    async def _list(self) -> None:
        query = {"labelSelector": self._selector, "limit": str(PAGE)}
        found: dict[str, Object] = {}
        # what a watch tells meanwhile is newer than the list
        before = set(self.items)
        self._dropped.clear()
        self._deleted.clear()
        while True:
            try:
                page = await self._connection.request("GET", self._path, query=query)
            except Refusal as error:
                if error.status != 410 or "continue" not in query:
                    raise
                found = {}
                query.pop("continue")
                continue
            for item in page.get("items") or ():
                found[item["metadata"]["uid"]] = item
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        for uid in before.difference(found, self._dropped):
            self.drop(self.items[uid])
        for uid, item in found.items():
            if uid not in self._dropped:
                self.put(item)
        self._version = str(metadata.get("resourceVersion") or "")
        self.relists += 1

    async def _watch(self) -> None:
        """Until it is time for a list. Raises Expired, NotReachable, Refusal."""
        query = {
            "labelSelector": self._selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(RELIST_SECONDS),
        }
        try:
            async with self._connection.stream(self._path, query, RELIST_SECONDS + SILENCE_SECONDS) as lines:
                self.current = True
                async for line in lines:
                    self._take(line)
        except Refusal as error:
            if error.status == 410:
                raise Expired from None
            raise

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            raise NotReachable("A watch was cut off in the middle of an event.") from None
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            if item.get("code") == 410:
                raise Expired
            raise NotReachable(f"The watch ended: {item.get('message') or item}")
        if kind == "DELETED":
            self._deleted.discard(item["metadata"]["uid"])
            self.drop(item)
        elif kind in {"ADDED", "MODIFIED"} and item["metadata"]["uid"] not in self._deleted:
            self._keep(item)

    def _keep(self, item: Object) -> None:
        item["metadata"].pop("managedFields", None)
        self.items[item["metadata"]["uid"]] = item
        self._changed(item, False)

    def drop_for_good(self, item: Object) -> None:
        """It was deleted, whatever a watch still tells of it that happened before."""
        self._deleted.add(item["metadata"]["uid"])
        self.drop(item)

    def drop(self, item: Object) -> None:
        """It is gone."""
        self.items.pop(item["metadata"]["uid"], None)
        self._dropped.add(item["metadata"]["uid"])
        self._changed(item, True)


def _hear(listing: "asyncio.Task[None]") -> None:
    if not listing.cancelled():
        listing.exception()  # whoever waits for it is told; it may be nobody any more


class Mirror:
    """The Jobs and pods of `owner` in `namespace`. `news` is called whenever something has changed.

    To be used within one event loop, and closed there.
    """

    def __init__(self, connection: Connection, namespace: str, owner: str, news: Callable[[], None]) -> None:
        self.connection, self.namespace, self.owner = connection, namespace, owner
        selector = f"{OWNER}={owner}"
        self._jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self.jobs = Collection(connection, self._jobs_path, selector, self._job_changed)
        self.pods = Collection(connection, f"/api/v1/namespaces/{namespace}/pods", selector, self._pod_changed)
        self._by_name: dict[str, Object] = {}
        self._by_job: dict[str, dict[str, Object]] = {}
        self._gone: dict[str, deque[Object]] = {}
        self._news = news
        self._tasks: list[asyncio.Task[None]] = []

    async def confirm(self) -> None:
        """Make sure that the picture is the state now, or a moment ago. Raises NotReachable, Refusal."""
        if not self._tasks:
            await self._refresh()
            self._tasks = [asyncio.create_task(each.follow()) for each in (self.jobs, self.pods)]
        elif self.is_current():
            # an open watch that says nothing may lead nowhere: only an answer tells
            query = {"labelSelector": f"{OWNER}={self.owner}", "limit": "1", "resourceVersion": "0"}
            await self.connection.request("GET", self._jobs_path, query=query, seconds=CONFIRM_SECONDS)
        else:
            await self._refresh()

    def job(self, name: str) -> Object | None:
        return self._by_name.get(name)

    def pods_of(self, name: str) -> list[Object]:
        """The pods of the Job, as they are."""
        return list(self._by_job.get(name, {}).values())

    def gone_of(self, name: str) -> list[Object]:
        """The pods of the Job that were deleted while this picture was kept, as they were seen last."""
        return list(self._gone.get(name, ()))

    def is_current(self) -> bool:
        """Whether both watches are open, as far as this side can tell."""
        return self.jobs.current and self.pods.current

    def see_pods(self, name: str, pods: list[Object]) -> None:
        """Take over what the server has just answered about all pods of the Job."""
        there = {pod["metadata"]["uid"] for pod in pods}
        for uid in [uid for uid in self._by_job.get(name, {}) if uid not in there]:
            self.pods.drop(self._by_job[name][uid])
        for pod in pods:
            self.pods.put(pod)

    def forget(self, name: str) -> None:
        """The Job was deleted."""
        if name in self._by_name:
            self.jobs.drop_for_good(self._by_name[name])

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in (self.jobs, self.pods):
            await each.close()

    async def _refresh(self) -> None:
        refreshing = [asyncio.create_task(each.refresh()) for each in (self.jobs, self.pods)]
        try:
            async with asyncio.timeout(CONFIRM_SECONDS * 2):
                await asyncio.gather(*refreshing)
        except TimeoutError:
            raise NotReachable("The Kubernetes API does not list the Jobs in time.") from None
        finally:
            for task in refreshing:
                task.cancel()
            await asyncio.gather(*refreshing, return_exceptions=True)

    def _job_changed(self, job: Object, gone: bool) -> None:
        name = job["metadata"]["name"]
        if not gone:
            self._by_name[name] = job
        elif (known := self._by_name.get(name)) is not None and known["metadata"]["uid"] == job["metadata"]["uid"]:
            del self._by_name[name]
            self._gone.pop(name, None)
        self._news()

    def _pod_changed(self, pod: Object, gone: bool) -> None:
        name, uid = job_of(pod), pod["metadata"]["uid"]
        if name is None:
            return
        if not gone:
            pods = self._by_job.setdefault(name, {})
            _keep_what_it_forgets(pod, pods.get(uid))
            pods[uid] = pod
        else:
            self._by_job.get(name, {}).pop(uid, None)
            if not self._by_job.get(name):
                self._by_job.pop(name, None)
            if name in self._by_name:
                remembered = self._gone.setdefault(name, deque(maxlen=_REMEMBERED))
                pod["metadata"].setdefault("deletionTimestamp", clock.now().isoformat(timespec="seconds"))
                remembered.append(pod)
        self._news()


def _keep_what_it_forgets(pod: Object, known: Object | None) -> None:
    """A kubelet before 1.22 forgets the containers of a pod that it evicts: that they ran is kept."""
    status = pod.get("status") or {}
    before = (known or {}).get("status") or {}
    if status.get("phase") == "Failed" and not status.get("containerStatuses") and before.get("containerStatuses"):
        status["containerStatuses"] = before["containerStatuses"]


def _version(item: Object) -> int:
    """Versions of one object are compared as numbers, which they are in every API server with etcd beneath."""
    text = str(item["metadata"].get("resourceVersion") or "0")
    return int(text) if text.isdigit() else 0
