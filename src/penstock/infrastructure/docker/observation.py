"""What the Docker engine says of containers, as handles, observations and found jobs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock import clock
from penstock.infrastructure.base import Found, Handle
from penstock.infrastructure.docker.marks import ATTEMPT_LABEL, KEEP_LABEL, OWNER_LABEL
from penstock.infrastructure.docker.reasons import History, ending, parse_time
from penstock.model.attempts import Observation
from penstock.model.reasons import Reason

HANDLE_VERSION = 1
TYPE = "docker-container"
#: Statuses of a container that has run and does not any more.
ENDED = frozenset({"exited", "dead"})
#: Statuses of one that has processes, or is about to have some again.
LIVE = frozenset({"running", "paused", "restarting"})


@dataclass(frozen=True)
class Place:
    """One engine: its id, and the name of its machine."""

    id: str
    host: str


@dataclass(frozen=True)
class Container:
    """What matters of a container, from a row of the engine's list or from `inspect`."""

    id: str
    name: str
    status: str
    labels: Mapping[str, str]

    @classmethod
    def listed(cls, row: Mapping[str, Any]) -> "Container":
        names: Sequence[str] = row.get("Names") or [""]
        # a link to it from another container is another name, with that container's before it
        name = min(names, key=lambda each: each.count("/")).lstrip("/")
        return cls(row["Id"], name, _plain(row["State"]), row.get("Labels") or {})

    @classmethod
    def inspected(cls, found: Mapping[str, Any]) -> "Container":
        labels = (found.get("Config") or {}).get("Labels") or {}
        return cls(found["Id"], str(found["Name"]).lstrip("/"), status_of(found["State"]), labels)

    @property
    def owner(self) -> str | None:
        return self.labels.get(OWNER_LABEL)

    @property
    def attempt_id(self) -> UUID | None:
        try:
            return UUID(self.labels.get(ATTEMPT_LABEL, ""))
        except ValueError:
            return None

    @property
    def keep(self) -> bool | None:
        return {"true": True, "false": False}.get(self.labels.get(KEEP_LABEL, ""))

    def handle(self, place: Place) -> Handle:
        """The handle of the job that it is, always the same one."""
        data = {
            "engine": place.id,
            "host": place.host,
            "id": self.id,
            "name": self.name,
            "owner": self.owner,
            "attempt_id": self.labels.get(ATTEMPT_LABEL),
            "keep": self.keep,
        }
        return Handle(type=TYPE, version=HANDLE_VERSION, data=data)

    def is_job_of(self, handle: Handle) -> bool:
        """Whether it is what the handle stands for: the container itself, or one of its name for the same attempt."""
        if self.id == handle.data["id"]:
            return True
        ours = (self.name, self.owner, self.labels.get(ATTEMPT_LABEL))
        return ours == (handle.data["name"], handle.data["owner"], handle.data["attempt_id"])

    def found(self, place: Place, ended_at: datetime | None) -> Found:
        """A container that was made and never started is no ended job: it is stopped, which removes it, when its time
        has come."""
        return Found(
            handle=self.handle(place),
            job_name=self.name,
            attempt_id=self.attempt_id,
            ended=self.status in ENDED,
            ended_at=ended_at,
            keep=self.keep,
        )


def status_of(state: Mapping[str, Any]) -> str:
    """The word for a container's State."""
    word = _plain(state.get("Status"))
    if word == "removing" and not state.get("Running"):
        return "exited" if parse_time(state.get("StartedAt")) is not None else "created"
    return word


def _plain(word: Any) -> str:
    """Docker's word for what Podman has words of its own for."""
    said = str(word or "").lower()
    own = {"configured": "created", "initialized": "created", "stopping": "running", "stopped": "exited"}
    return own.get(said, said)


def observed(status: str, state: Mapping[str, Any] | None, history: History) -> Observation:
    """What is to be said of a container with that status; `state` is its State, needed for one that has ended."""
    now = clock.now()
    if status in ENDED:
        if state is None:
            return unseen("The container has ended, and was gone or ran again before its end could be looked at.")
        found = ending(state, history)
        reason = found.reason or (Reason.EXITED if found.code else None)
        return Observation(status="ENDED", observed_at=now, message=found.message, reason=reason, exit=found)
    if status == "paused":
        return Observation(status="RUNNING", observed_at=now, message="The container is paused.")
    if status == "restarting":
        return Observation(status="RUNNING", observed_at=now, message="The Docker engine starts the container again.")
    if status == "created":
        return Observation(status="PENDING", observed_at=now, waiting_for="the container to be started")
    return Observation(status="RUNNING", observed_at=now)


def missing(handle: Handle) -> Observation:
    """The engine itself says that there is none."""
    data = handle.data
    message = f"Docker on {data['host']} has no container {data['name']} ({data['id'][:12]}) any more."
    return Observation(status="MISSING", observed_at=clock.now(), message=message)


def unseen(message: str) -> Observation:
    """The engine does not answer, or is another one."""
    return Observation(status="UNKNOWN", observed_at=clock.now(), message=message)


def elsewhere(handle: Handle, place: Place) -> str:
    """Why a handle of another engine cannot be looked at."""
    return (
        f"The container {handle.data['name']} is on {handle.data['host']}, on a Docker engine other than the one that "
        f"this agent reaches, on {place.host}."
    )
