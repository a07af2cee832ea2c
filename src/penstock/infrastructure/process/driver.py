"""The driver of local processes: asks the launcher to start them, and reads everything else from their folders.

What a folder says is true without the launcher and without this driver, so a handle needs little more than the job's
name.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from penstock import clock, settings
from penstock.errors import InfrastructureError, JobRejected, NotReachable
from penstock.infrastructure.base import Finding, Found, Handle, Output
from penstock.infrastructure.process import checks, observation, output, procfs
from penstock.infrastructure.process.address import Address
from penstock.infrastructure.process.config import ENGINE, Process
from penstock.infrastructure.process.connection import Connection
from penstock.infrastructure.process.folder import JobFolder
from penstock.infrastructure.process.inheritance import inherited, of_launcher
from penstock.infrastructure.process.news import News
from penstock.infrastructure.process.render import ProcessRequest
from penstock.infrastructure.process.stopping import PATIENCE, Stop
from penstock.model.attempts import Observation
from penstock.model.reasons import Reason

#: Seconds in which a start has to succeed, launchers that are killed meanwhile included.
_START_PATIENCE = 60.0
_PAUSE = 0.02

_T = TypeVar("_T")


def create() -> "ProcessDriver":
    """The driver for the launcher home that the settings name."""
    return ProcessDriver(settings.launcher_home())


class ProcessDriver:
    """Local processes of one launcher home. To be used within one event loop, and closed there."""

    type: ClassVar[str] = "process"

    def __init__(self, home: Path, engine: str = ENGINE) -> None:
        self._address = Address(Path(os.path.realpath(home)), engine)
        self._connection = Connection(self._address, of_launcher(os.environ))
        self._news = News()

    async def reach(self, config: Process) -> str:
        return f"process:{procfs.host_id()}:{self._address.home}"

    async def prepare(self) -> None:
        """Have the launcher up and warm before the first job. Optional: `start` does it too, if need be."""
        try:
            await self._connection.ask("hello")
        except ConnectionError as error:
            raise NotReachable(f"The launcher of local processes does not stay: {error}.") from None

    async def check(self, config: Process) -> list[Finding]:
        """Tries the launcher, the command and the working directory."""
        return [await self._check_launcher(), checks.check_command(config), checks.check_folder(config)]

    async def start(self, request: ProcessRequest) -> Handle:
        """See the contract. Raises JobRejected with the reason; NotReachable if no launcher can be started."""
        deadline = clock.monotonic() + _START_PATIENCE
        folder = self._folder(request.name)
        message = _as_message(request)
        while error := await self._ask_to_start(message):
            if error["kind"] == "rejected":
                raise JobRejected(error["message"], reason=error["reason"])
            if clock.monotonic() > deadline:
                await self._give_up(folder)
                raise JobRejected(
                    f"No launcher lived for long enough to start the process: {error['message']}.",
                    reason=Reason.INFRASTRUCTURE_UNAVAILABLE,
                    hint=f"{self._address.log} says more.",
                )
            await asyncio.sleep(_PAUSE)
        handle = await self.find_job(request.name)
        if handle is None:
            raise JobRejected(f"{request.name} was removed as soon as it was started.", reason=Reason.DELETED)
        return handle

    async def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """See the contract."""
        seen = await asyncio.to_thread(lambda: [self._observe(handle) for handle in handles])
        for found, keeper in seen:
            if keeper is not None and found.status == "RUNNING":
                self._news.watch(*keeper)
        return [found for found, _ in seen]

    async def wait_for_news(self, timeout: float) -> None:
        await self._news.wait(timeout)

    async def output(self, handle: Handle, since: int = 0) -> Output:
        """See the contract; offsets are bytes, and one call returns at most 256 kB. Raises JobNotFound."""
        folder = self._folder(handle.data["name"])
        return await _on_disk(lambda: output.read(folder.output, since, folder.exit() is not None))

    async def stop(self, handle: Handle, grace: float) -> None:
        """See the contract. Raises NotReachable if the job is another machine's, or something of it does not die."""
        self._refuse_foreign(handle)
        stop = Stop(self._folder(handle.data["name"]), grace)
        deadline = clock.monotonic() + grace + 3 * PATIENCE
        while not await _on_disk(stop.step):
            if clock.monotonic() > deadline:
                raise NotReachable(f"{self.pid(handle)} does not die: it hangs in the kernel, or is another user's.")
            await asyncio.sleep(_PAUSE)

    async def remove(self, handle: Handle) -> None:
        """See the contract. Raises InfrastructureError for a job that has not ended."""
        self._refuse_foreign(handle)
        folder = self._folder(handle.data["name"])
        found = await _on_disk(lambda: observation.observe(folder))
        if found.status in {"PENDING", "RUNNING"}:
            raise InfrastructureError(f"{folder.name} has not ended.", hint="Stop it before removing it.")
        await _on_disk(folder.remove)

    async def find(self, owner: str) -> list[Found]:
        """See the contract: the jobs of `owner` on this machine, in this home."""
        return await _on_disk(lambda: list(self._find(owner)))

    async def find_job(self, job_name: str) -> Handle | None:
        handle = await _on_disk(lambda: observation.handle_of(self._folder(job_name)))
        return handle if handle and handle.data["host_id"] == procfs.host_id() else None

    def keeps(self, handle: Handle) -> bool | None:
        return None

    def pid(self, handle: Handle) -> str:
        return f"{handle.data['host']}:{handle.data['pid']}"

    async def close(self) -> None:
        """Hang up. Jobs and launcher go on."""
        self._news.close()
        await self._connection.close()

    def _folder(self, name: str) -> JobFolder:
        return JobFolder(self._address.home, name)

    async def _ask_to_start(self, message: dict[str, Any]) -> dict[str, Any]:
        """The launcher's error, empty if it did as asked. A line that broke is one: nothing is known, ask again."""
        try:
            answer = await self._connection.ask("start", job=message)
        except ConnectionError as error:
            return {"kind": "broken", "message": str(error)}
        found: dict[str, Any] = answer.get("error") or {}
        return found

    async def _give_up(self, folder: JobFolder) -> None:
        """Leave nothing behind of a start that may or may not have come to something."""
        handle = await _on_disk(lambda: observation.handle_of(folder))
        if handle is not None:
            await self.stop(handle, 0)
        await _on_disk(folder.remove)

    async def _check_launcher(self) -> Finding:
        tried = f"the launcher of local processes in {self._address.home}"
        try:
            answer = await self._connection.ask("hello")
        except (NotReachable, ConnectionError) as error:
            return Finding(tried, ok=False, said=str(error), fix=f"{self._address.log} says why.")
        warm = "starts jobs warm" if answer["warm"] else f"starts jobs cold: {answer['cold_reason']}"
        return Finding(tried, ok=True, said=f"{answer['interpreter']}, Penstock {answer['version']}, {warm}")

    def _observe(self, handle: Handle) -> tuple[Observation, tuple[int, int] | None]:
        """The job's state, and its keeper's pid and start time."""
        if handle.data["host_id"] != procfs.host_id():
            message = f"The process runs on {handle.data['host']}, which cannot be seen from here."
            return Observation(status="UNKNOWN", observed_at=clock.now(), message=message), None
        folder = self._folder(handle.data["name"])
        try:
            found, keeper = observation.observe(folder), folder.keeper()
        except OSError as error:
            message = f"The folder of local processes cannot be read: {error}."
            return Observation(status="UNKNOWN", observed_at=clock.now(), message=message), None
        return found, (keeper.keeper_pid, keeper.keeper_start_time) if keeper else None

    def _find(self, owner: str) -> Iterator[Found]:
        for folder in JobFolder.all(self._address.home):
            request, handle = folder.request(), observation.handle_of(folder)
            if request is not None and handle is not None and observation.is_of(request, owner):
                record = folder.exit()
                ended_at = datetime.fromisoformat(record.ended_at) if record else None
                yield Found(handle, folder.name, UUID(request.attempt_id), record is not None, ended_at)

    def _refuse_foreign(self, handle: Handle) -> None:
        if handle.data["host_id"] != procfs.host_id():
            raise NotReachable(f"The process {self.pid(handle)} runs on another machine, which this agent cannot see.")


async def _on_disk(work: Callable[[], _T]) -> _T:
    """What `work` returns, done in a thread. A disk that fails is a platform that does not answer: NotReachable."""
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise NotReachable(f"The folder of local processes cannot be used: {error}.") from None


def _as_message(request: ProcessRequest) -> dict[str, Any]:
    """What the launcher is told: the request with the whole environment, secrets included."""
    environment = {**inherited(os.environ), **request.env, **request.secret_env}
    for name in request.unset:
        environment.pop(name, None)
    warm = settings.get("PENSTOCK_LAUNCHER_WARM")
    return {
        "name": request.name,
        "title": request.title,
        "attempt_id": str(request.attempt_id),
        "flow_run_id": str(request.flow_run_id),
        "owner": request.owner,
        "argv": list(request.argv),
        "env": environment,
        "labels": request.labels,
        "cwd": os.path.abspath(request.cwd) if request.cwd else None,
        "cold_reason": request.cold_reason if warm else "PENSTOCK_LAUNCHER_WARM is off",
    }
