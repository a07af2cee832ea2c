"""The driver contract: what every infrastructure promises, and what its caller may rely on.

An infrastructure is three files: `config.py` holds the block (what you want, pure data), `render.py` turns it and a
`Job` into the exact request (pure), `driver.py` talks to the platform and is the only file that imports its SDK.

Order of calls for one attempt:  render → (the caller writes intent down) → start → observe … → stop? → output → remove.

What may be called when:

* Any method may be called by another process than the one that started the job, after a restart, or by another agent
  that has the same reach. A driver therefore keeps nothing about a job in memory only: the `Handle` is enough.
* `start` may be called twice with the same request, at once or a day later. The second call finds the first one's job
  by its name and returns an equal handle; it never makes a second job. If a job of that name exists and carries
  another owner, `JobRejected` is raised and that job is left alone. If `start` raises `JobRejected`, nothing of the
  job is left on the platform, and `reason` says whether another try makes sense. If it raises `NotReachable`, nothing
  is known: look for the job by its name, or start it again. If it raises `StillPreparing`, nothing of the job exists yet
  and the platform is busy with what it needs (its image is being fetched): call it again, which joins what is under
  way. A preparation that nobody asks for any more starts nothing.
* `observe` is level-triggered: each answer is the state now, not a change. A driver that cannot see the platform says
  UNKNOWN; it says MISSING only when the platform itself answered that there is no such job. It raises nothing.
* `stop` returns when the job is confirmed gone: politely first, after `grace` seconds by force. Stopping a job that has
  ended, or that never was, is success. If the platform cannot be reached it raises `NotReachable`, and nothing is
  known.
* `output` is resumable: `since` is the offset that the last call returned. Its failure never changes a verdict.
* `remove` deletes what is left of an ended job (records, logs, containers). Removing what is gone is success.
* `reach` comes before any other call about jobs of a configuration, also for jobs that are taken over: from then on the
  driver knows the way to that place, and `observe`, `find` and the others cover it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol, runtime_checkable
from uuid import UUID

from penstock.model.attempts import Observation
from penstock.model.findings import Finding as Finding


@dataclass(frozen=True)
class Job:
    """What is to be started, whatever the platform: an attempt's command, environment, labels and name.

    `command` empty: the platform's way to start the engine. `env` None values remove a variable that would be
    inherited. `name` is unique per attempt and made by `penstock.infrastructure.names`; `title` is for people.
    `secret_env` holds variables that must not appear where others can read them (the attempt's token).
    """

    name: str
    title: str
    attempt_id: UUID
    flow_run_id: UUID
    owner: str
    command: Sequence[str] = ()
    env: dict[str, str | None] = field(default_factory=dict)
    secret_env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Handle:
    """Plain data that lets another process find the job again.

    `type` is the infrastructure's slug, `version` that of `data`.
    """

    type: str
    version: int
    data: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "version": self.version, "data": self.data}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Handle":
        return cls(type=value["type"], version=value["version"], data=value["data"])


@dataclass(frozen=True)
class Output:
    """A piece of a job's output: whole lines. `offset` is where to go on."""

    text: str
    offset: int


@dataclass(frozen=True)
class Found:
    """A job on the platform that carries our owner's label, as `find` meets it. `keep` is what `Driver.keeps` says."""

    handle: Handle
    job_name: str
    attempt_id: UUID | None
    ended: bool
    ended_at: datetime | None = None
    keep: bool | None = None


@runtime_checkable
class Driver(Protocol):
    """One connection to one platform. Async; every method is bounded in time. See the module for the contract."""

    #: The slug of the infrastructure type, e.g. "process".
    type: ClassVar[str]

    async def reach(self, config: Any) -> str:
        """The place whose jobs this driver sees with `config`: two agents with an equal reach can take each other's
        jobs over. Places that differ behind their first slash only are answered for by one server.

        Raises `NotReachable` when the platform does not answer: it is asked for that as well, to know when it is back.
        """

    async def prepare(self) -> None:
        """Make ready what takes time, so that the first `start` does not wait for it. Optional to call.

        Raises `NotReachable` when the platform does not answer.
        """

    async def check(self, config: Any) -> list[Finding]:
        """Try what a job with `config` will need, without starting one. Raises nothing: what failed is a finding."""

    async def start(self, request: Any) -> Handle: ...

    async def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """One observation per handle, in order."""

    async def wait_for_news(self, timeout: float) -> None:
        """Return when something may have changed, or after `timeout` seconds: it only wakes `observe` early."""

    async def output(self, handle: Handle, since: int = 0) -> Output: ...

    async def stop(self, handle: Handle, grace: float) -> None: ...

    async def remove(self, handle: Handle) -> None: ...

    async def find(self, owner: str) -> list[Found]: ...

    async def find_job(self, job_name: str) -> Handle | None:
        """The job of that name, running or ended, or None if the platform has none."""

    def keeps(self, handle: Handle) -> bool | None:
        """Whether what is left of the ended job stays for people to look at, as its configuration wants it.

        True: until the sweep's time for that is over. False: it goes at once. None: it goes at once if the job ended
        well or was cancelled, and stays otherwise.
        """

    def pid(self, handle: Handle) -> str:
        """The `infrastructure_pid` that the flow run shows, e.g. ``host:1234``."""

    async def close(self) -> None: ...
