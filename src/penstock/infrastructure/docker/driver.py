"""The driver of Docker containers on the one engine that the agent's environment names.

The engine itself keeps all that matters: a container's name is the attempt's, its labels say whose it is, and what is left
of it stays until it is removed from here. So any agent that reaches the engine can look after any container of ours.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.errors import InfrastructureError, NotReachable
from penstock.infrastructure.base import Finding, Found, Handle, Output
from penstock.infrastructure.docker import output as logs
from penstock.infrastructure.docker.config import DockerContainer
from penstock.infrastructure.docker.connection import Engine, connect_from_environment
from penstock.infrastructure.docker.endings import Endings
from penstock.infrastructure.docker.events import News
from penstock.infrastructure.docker.marks import OWNER_LABEL
from penstock.infrastructure.docker.observation import (
    ENDED,
    TYPE,
    Container,
    Place,
    elsewhere,
    missing,
    observed,
    unseen,
)
from penstock.infrastructure.docker.pulling import Pulls
from penstock.infrastructure.docker.reasons import History
from penstock.infrastructure.docker.starting import Start, inspect, words_of
from penstock.infrastructure.docker.stopping import Stop, remove
from penstock.model.attempts import Observation

if TYPE_CHECKING:
    from docker import APIClient

#: Seconds for a list of containers, and for one piece of a log, which an engine may have to look for in a long one.
LIST_SECONDS, LOG_SECONDS = 30.0, 18.0
#: Answers that are read piece by piece and kept open in between, and for how many seconds.
_MOST_READERS, _READER_SECONDS = 16, 20.0


def create() -> "DockerDriver":
    """The driver of the engine that DOCKER_HOST or the docker program's context names. Raises ConfigurationError."""
    return DockerDriver(connect_from_environment())


class DockerDriver:
    """Containers of one engine. To be used within one event loop, and closed there."""

    type: ClassVar[str] = TYPE

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pulls = Pulls(engine)
        self._owners: set[str | None] = set()
        self._news = News(engine, self._owners.__contains__)
        self._endings = Endings(engine)
        self._readers = logs.Readers(_MOST_READERS, _READER_SECONDS)
        self._place: Place | None = None

    async def reach(self, config: DockerContainer | None) -> str:
        """See the contract: ``docker:`` and the engine's own id, which is asked each time. Raises NotReachable."""
        # whoever asks wants to know as well whether it answers now
        self._place = Place(await self._engine.ask_id(), self._engine.host)
        return f"docker:{self._place.id}"

    async def prepare(self) -> None:
        """Know the engine, and listen to it. Raises NotReachable."""
        await self._where()
        self._news.listen()

    async def check(self, config: DockerContainer) -> list[Finding]:
        """Tries the engine, and on it the image, the networks, the paths, and the API from within a container."""
        from penstock.infrastructure.docker import checks

        return await checks.check(self._engine, config)

    async def start(self, request: Mapping[str, Any]) -> Handle:
        """See the contract. Waits for the image a moment only, then raises StillPreparing."""
        place = await self._where()
        self._owners.add(request["create"]["labels"].get(OWNER_LABEL))
        container = await Start(self._engine, self._pulls, request).run()
        return container.handle(place)

    async def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """See the contract: one list of all containers of an owner, and a closer look at what has ended since."""
        self._readers.close_idle()
        if not handles:
            return []
        self._owners.update(handle.data["owner"] for handle in handles)
        try:
            place = await self._where()
            listed = await self._list({handle.data["owner"] for handle in handles})
            matched = await asyncio.gather(*(self._match(handle, listed, place) for handle in handles))
            # behind the same address there may be another engine by now, which knows nothing of this one's
            if None in matched and await self._engine.ask_id() != place.id:
                self._place = None
                message = f"Another Docker engine answers at {self._engine.url} than the one that has the container."
                return [unseen(message)] * len(handles)
            seen = [missing(handle) if found is None else found for handle, found in zip(handles, matched, strict=True)]
            containers = [found for found in seen if isinstance(found, Container)]
            self._endings.forget(each.id for each in containers if each.status not in ENDED)
            ends = await self._endings.of([each.id for each in containers if each.status in ENDED])
        except InfrastructureError as error:
            return [unseen(error.message)] * len(handles)
        return [
            found if isinstance(found, Observation) else observed(found.status, *ends.get(found.id, (None, History())))
            for found in seen
        ]

    async def wait_for_news(self, timeout: float) -> None:
        await self._news.wait(timeout)

    async def output(self, handle: Handle, since: int = 0) -> Output:
        """See the contract; one call returns some 256 kB at most. Raises JobNotFound, NotReachable."""
        await self._refuse_foreign(handle)
        container_id = handle.data["id"]
        found = await self._read(container_id, since, ended=False)
        if found.holds_back and not found.output.text:
            container = await inspect(self._engine, container_id)
            if container is not None and Container.inspected(container).status in ENDED:
                # it may have printed more before it ended, so that is read again
                found = await self._read(container_id, since, ended=True)
        return found.output

    async def stop(self, handle: Handle, grace: float) -> None:
        """See the contract. A container that was never started is removed."""
        await self._refuse_foreign(handle)
        await Stop(self._engine, handle.data["id"], grace).run()

    async def remove(self, handle: Handle) -> None:
        """See the contract; volumes without a name go too. Raises InfrastructureError for a container that runs."""
        await self._refuse_foreign(handle)
        await remove(self._engine, handle.data["id"])

    async def find(self, owner: str) -> list[Found]:
        """See the contract. A container that was made and never started counts as one that has not ended."""
        place = await self._where()
        containers = list((await self._list({owner})).values())
        ended_at = await self._endings.times([each.id for each in containers if each.status in ENDED])
        return [each.found(place, ended_at.get(each.id)) for each in containers]

    async def find_job(self, job_name: str) -> Handle | None:
        """See the contract. A container that was never started is no job: `start` completes it."""
        place = await self._where()
        found = await inspect(self._engine, job_name)
        if found is None:
            return None
        container = Container.inspected(found)
        ours = container.name == job_name and container.owner is not None and container.status != "created"
        return container.handle(place) if ours else None

    def keeps(self, handle: Handle) -> bool | None:
        keep: bool | None = handle.data["keep"]
        return keep

    def pid(self, handle: Handle) -> str:
        return f"{handle.data['host']}:{handle.data['id']}"

    async def close(self) -> None:
        """Hang up. Containers go on."""
        await self._news.close()
        await self._pulls.close()
        self._readers.close()
        await self._engine.close()

    async def _where(self) -> Place:
        if self._place is None:
            found = await self._engine.id()
            self._place = Place(found, self._engine.host)
        return self._place

    async def _refuse_foreign(self, handle: Handle) -> None:
        place = await self._where()
        if handle.data["engine"] != place.id:
            raise NotReachable(elsewhere(handle, place))

    async def _list(self, owners: Iterable[str | None]) -> dict[str, Container]:
        """The containers of these owners by id. Raises NotReachable."""
        found: dict[str, Container] = {}
        for owner in owners:
            label = f"{OWNER_LABEL}={owner}"

            def ask(client: "APIClient", label: str = label) -> list[dict[str, Any]]:
                rows: list[dict[str, Any]] = client.containers(all=True, filters={"label": label})
                return rows

            try:
                rows = await self._engine.call(ask, seconds=LIST_SECONDS)
            except self._engine.APIError as error:
                raise NotReachable(f"Docker cannot list containers: {words_of(error)}") from None
            found.update({row["Id"]: Container.listed(row) for row in rows})
        return found

    async def _match(
        self, handle: Handle, listed: Mapping[str, Container], place: Place
    ) -> "Container | Observation | None":
        """The container of a handle, or why it cannot be seen from here; None if the engine knows neither its id nor its
        name. Raises NotReachable."""
        if handle.data["engine"] != place.id:
            return unseen(elsewhere(handle, place))
        found = listed.get(handle.data["id"])
        if found is not None:
            return found
        for name in (handle.data["id"], handle.data["name"]):
            inspected = await inspect(self._engine, name)
            if inspected is not None and Container.inspected(inspected).is_job_of(handle):
                return Container.inspected(inspected)
        return None

    async def _read(self, container_id: str, since: int, ended: bool) -> logs.Piece:
        kept = self._readers.take(container_id, since)

        def ask(client: "APIClient") -> logs.Piece:
            found = logs.read(client, container_id, since, ended, kept)
            self._readers.keep(container_id, found.reader)
            return found

        return await self._engine.call(ask, seconds=LOG_SECONDS)
