"""What is written into a job's folder, and what the launcher is told. Plain data, as JSON."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self


class Record:
    """A dataclass that is kept as a JSON object. What it does not know is ignored, for a newer writer's sake."""

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Raises TypeError if a field without a default is missing."""
        known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        return cls(**{key: item for key, item in value.items() if key in known})


@dataclass(frozen=True)
class RequestRecord(Record):
    """What was asked for (request.json). The environment is not kept: it goes from the socket into the process."""

    name: str
    title: str
    attempt_id: str
    flow_run_id: str
    owner: str
    argv: list[str]
    labels: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None
    cold_reason: str | None = None
    host_id: str = ""
    boot_id: str = ""


@dataclass(frozen=True)
class KeeperRecord(Record):
    """Which processes these are (keeper.json): the keeper and the job's main process, each by pid and start time.

    Written before the main process may do anything: without this file, nothing of the job has run.
    """

    boot_id: str
    keeper_pid: int
    keeper_start_time: int
    main_pid: int
    main_start_time: int
    host: str
    started_at: str
    warm: bool


@dataclass(frozen=True)
class StopRecord(Record):
    """A wish to stop the job (stop.json): politely, and by force `grace` seconds later."""

    grace: float


@dataclass(frozen=True)
class ExitRecord(Record):
    """How the job ended (exit.json). Written when nothing of the job is left. Code and signal None: nobody knows.

    `stopped` is "asked" or "forced" if the job ended after a wish to stop it. `reason` is set where it is more than the
    code or signal tells.
    """

    ended_at: str
    code: int | None = None
    signal: int | None = None
    oom: bool = False
    stopped: str | None = None
    reason: str | None = None
    message: str | None = None
    tree_gone: bool = True
