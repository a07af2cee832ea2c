"""A container from its request to its start: made or found, completed, started once; or refused, and nothing is left."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock import clock
from penstock.errors import JobRejected, NotReachable
from penstock.infrastructure.docker.body import create_body, first_secret_path, secret_archive
from penstock.infrastructure.docker.connection import Engine
from penstock.infrastructure.docker.hearing import heard
from penstock.infrastructure.docker.marks import ATTEMPT_LABEL, OWNER_LABEL
from penstock.infrastructure.docker.observation import Container
from penstock.infrastructure.docker.pulling import Pulls
from penstock.infrastructure.docker.raw import newer_fields
from penstock.infrastructure.docker.reasons import parse_time, refusal
from penstock.model.reasons import Reason

if TYPE_CHECKING:
    from docker import APIClient
    from docker.errors import APIError

#: Seconds for questions, for making a container, and for starting one on a machine that is busy.
ASK_SECONDS, CREATE_SECONDS, START_SECONDS = 15.0, 60.0, 90.0
#: Seconds for which whoever has just made a container is left alone to start it.
_ITS_MAKERS = 1.5
_PAUSE = 0.05


class Start:
    """One start of one request."""

    def __init__(self, engine: Engine, pulls: Pulls, request: Mapping[str, Any]) -> None:
        self._engine, self._pulls, self._request = engine, pulls, request
        self._name = str(request["create"]["name"])
        self._labels: Mapping[str, str] = request["create"]["labels"]

    async def run(self) -> Container:
        """The container, started by us or by another. Raises JobRejected, StillPreparing, NotReachable."""
        deadline = clock.monotonic() + CREATE_SECONDS
        while clock.monotonic() < deadline:
            found = await inspect(self._engine, self._name)
            if found is None:
                made = await self._make()
                if made is not None and await self._complete(made, fresh=True):
                    return Container(made, self._name, "running", self._labels)
                await asyncio.sleep(_PAUSE)  # somebody else is making it, and it can be seen only when that is done
                continue
            self._refuse_stranger(found)
            found = await self._left_to_its_maker(found)
            if found is None:
                continue
            container = Container.inspected(found)
            if container.status != "created" or await self._complete(container.id, fresh=False):
                return container
        raise NotReachable(
            f"Docker has had no container {self._name} for {CREATE_SECONDS:g} s, and lets nobody make it."
        )

    def _refuse_stranger(self, found: Mapping[str, Any]) -> None:
        theirs = (found.get("Config") or {}).get("Labels") or {}
        if any(theirs.get(label) != self._labels.get(label) for label in (OWNER_LABEL, ATTEMPT_LABEL)):
            raise JobRejected(
                f"There is a container {self._name} already, which is not this attempt's ({found['Id'][:12]}).",
                reason=Reason.CONFIGURATION_INVALID,
                hint="It was left alone. Remove or rename it, if it is yours.",
            )

    async def _left_to_its_maker(self, found: dict[str, Any]) -> dict[str, Any] | None:
        """The container once it is started, or if its maker has not come so far in time."""
        deadline = clock.monotonic() + _ITS_MAKERS
        while Container.inspected(found).status == "created" and not found["State"].get("Error"):
            made_at = parse_time(found.get("Created"))
            age = (clock.now() - made_at).total_seconds() if made_at is not None else _ITS_MAKERS
            if clock.monotonic() >= deadline or age >= _ITS_MAKERS:
                break
            await asyncio.sleep(_PAUSE)
            again = await inspect(self._engine, found["Id"])
            if again is None:
                return None
            found = again
        return found

    async def _make(self) -> str | None:
        """The id of a new container; None if there is one of its name by now."""
        await self._refuse_what_would_be_dropped()
        await self._pulls.ensure(self._request["pull"], self._name)
        self._request = await heard(self._engine, self._request)
        try:
            return await self._create()
        except self._engine.APIError as error:
            if error.status_code == 409:
                return None
            if error.status_code == 404 and refusal(words_of(error), 404).reason is Reason.IMAGE_NOT_FOUND:
                # removed since we looked: fetched again, or refused, as its policy says
                await self._pulls.ensure(self._request["pull"], self._name)
            else:
                raise await self._refused(error) from None
        try:
            return await self._create()
        except self._engine.APIError as error:
            if error.status_code == 409:
                return None
            raise await self._refused(error) from None

    async def _refuse_what_would_be_dropped(self) -> None:
        """Raise JobRejected for a field that this engine does not know: it would leave it out without a word."""
        newer = newer_fields(self._request)
        spoken = await self._engine.api_version() if newer else ()
        late = [f"{name} ({'.'.join(map(str, since))})" for name, since in newer.items() if spoken < since]
        if late:
            raise JobRejected(
                f"The Docker engine speaks {'.'.join(map(str, spoken))} of its API and does not know {', '.join(late)}.",
                reason=Reason.CONFIGURATION_INVALID,
                hint="Use a newer engine, or leave that out of host_config and config.",
            )

    async def _create(self) -> str:
        def create(client: Any) -> str:
            body = create_body(client, self._request)
            return str(
                client.create_container_from_config(body, self._name, self._request["pull"].get("platform"))["Id"]
            )

        return await self._engine.call(create, seconds=CREATE_SECONDS)

    async def _complete(self, container_id: str, *, fresh: bool) -> bool:
        """Give a container that was never started all it needs, and start it. False if it is gone.

        `fresh`: nobody else can have given it anything yet.
        """
        try:
            await self._put_secrets(container_id, fresh)
            for network in self._request.get("connect") or ():
                await self._connect(container_id, network)
            await self._engine.call(lambda client: client.start(container_id), seconds=START_SECONDS)
        except self._engine.APIError as error:
            if await inspect(self._engine, container_id) is None:
                return False
            raise await self._refused(error) from None
        return True

    async def _put_secrets(self, container_id: str, fresh: bool) -> None:
        found = secret_archive(self._request)
        if found is None:
            return
        folder, archive = found
        path = first_secret_path(self._request)
        # what another has put there is not written again: the container may be about to read it
        if not fresh and await self._engine.call(
            lambda client: _has_file(client, container_id, path), seconds=ASK_SECONDS
        ):
            return
        await self._engine.call(
            lambda client: client.put_archive(container_id, folder, archive), seconds=CREATE_SECONDS
        )

    async def _connect(self, container_id: str, network: str) -> None:
        try:
            await self._engine.call(
                lambda client: client.connect_container_to_network(container_id, network), seconds=CREATE_SECONDS
            )
        except self._engine.APIError as error:
            if "already exists in network" not in words_of(error):  # done before our answer was lost
                raise

    async def _refused(self, error: "APIError") -> JobRejected:
        """What to raise for `error`; what there is of the job is removed. Raises NotReachable if it cannot be."""
        await self._clear()
        words = words_of(error)
        found = refusal(words, error.status_code or 0)
        return JobRejected(f"Docker: {words}", reason=found.reason, hint=found.hint)

    async def _clear(self) -> None:
        found = await inspect(self._engine, self._name)
        if found is None:
            return
        self._refuse_stranger(found)
        container_id = found["Id"]
        try:
            await self._engine.call(
                lambda client: client.remove_container(container_id, v=True, force=True), seconds=CREATE_SECONDS
            )
        except self._engine.APIError as error:
            if error.status_code not in {404, 409}:
                raise NotReachable(f"The container {self._name} cannot be removed: {words_of(error)}") from None


async def inspect(engine: Engine, name: str) -> dict[str, Any] | None:
    """The container of that name or id, None if the engine itself says that it has none. Raises NotReachable."""
    try:
        found: dict[str, Any] = await engine.call(lambda client: client.inspect_container(name), seconds=ASK_SECONDS)
    except engine.APIError as error:
        if is_gone(error):
            return None
        raise NotReachable(f"Docker cannot look at the container {name}: {words_of(error)}") from None
    return found


def is_gone(error: "APIError") -> bool:
    """Whether the engine says that it has no such container; what stands before it may say 404 as well."""
    return error.status_code == 404 and "no such container" in words_of(error).lower()


def words_of(error: "APIError") -> str:
    """The engine's own words."""
    return str(error.explanation or error)


def _has_file(client: "APIClient", container_id: str, path: str | None) -> bool:
    answer = client.head(
        f"{client.base_url}/v{client.api_version}/containers/{container_id}/archive",
        params={"path": path},
        timeout=client.timeout,
    )
    return bool(answer.status_code == 200)
