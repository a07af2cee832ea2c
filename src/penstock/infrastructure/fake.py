"""A platform with knobs, for tests of everything that starts, watches and stops jobs: no cloud, no waiting.

Its jobs live in a folder, so they survive an agent, and several agents can share them. A job either runs a command for
real, or only pretends: it is pending, runs, and ends as the block's fields say, by the clock. Nobody finds this
platform who did not register it, see `penstock.testing.fakes`.
"""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field, SecretStr

from penstock import clock
from penstock.errors import InfrastructureError, JobNotFound, JobRejected, NotReachable, StillPreparing
from penstock.file_locks import locked
from penstock.infrastructure.base import Finding, Found, Handle, Job, Output
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.job import with_block
from penstock.model.attempts import Exit, Observation
from penstock.model.block_documents import is_mask
from penstock.model.reasons import Reason

#: Runs a command so that its output and exit code are in the job's folder, whoever starts it and dies.
_RUNNER = """
trap : TERM
"$@" >>"$0/output" 2>&1
echo $? >"$0/code.tmp"
mv "$0/code.tmp" "$0/code"
"""
_TICK = 0.02


class Fake(Infrastructure):
    """Jobs that do what these fields say. Times are seconds from the start; a job with a command ends with it."""

    _block_type_name: ClassVar[str | None] = "Fake"
    _block_type_slug: ClassVar[str | None] = "fake"

    type: Literal["fake"] = "fake"
    runs_for: float = Field(default=0, description="How long a job without a command runs.")
    pending_for: float = Field(default=0, description="How long it is pending before.")
    exit_code: int = 0
    exit_signal: int | None = Field(default=None, description="A signal that ends it instead.")
    exit_reason: Reason | None = Field(default=None, description="What the platform says of its end.")
    oom: bool = False
    prints: str = Field(default="", description="What a job without a command has written as soon as it runs.")
    start_error: Literal["once", "always"] | None = Field(default=None, description="Whether `start` is refused.")
    start_reason: Reason = Reason.START_FAILED
    prepares_for: float = Field(default=0, description="How long `start` says at first that it is still preparing.")
    keep: bool | None = Field(default=None, description="What `Driver.keeps` says of the ended job.")
    key: SecretStr | None = Field(
        default=None,
        description="The way to its jobs leads through `reach` with this key. Not to be had from a snapshot.",
    )
    loses_answer: bool = Field(default=False, description="The first `start` is carried out, but raises NotReachable.")
    vanishes_after: float | None = Field(default=None, description="The platform forgets the job then.")
    unseen_for: float = Field(default=0, description="How long the platform cannot say anything of it.")
    stop_takes: float = Field(default=0, description="How long a stop takes.")


def _hidden() -> Observation:
    return Observation(status="UNKNOWN", observed_at=clock.now(), message="The way to this job is not known.")


@dataclass(frozen=True)
class FakeRequest:
    """A job and its knobs."""

    job: Job
    knobs: Fake
    env: dict[str, str] = field(default_factory=dict)


def render(config: Fake, job: Job) -> FakeRequest:
    """The request for `job`."""
    merged = with_block(job, config)
    env = {name: value for name, value in merged.env.items() if value is not None}
    return FakeRequest(merged, config, {**env, **merged.secret_env})


class FakeDriver:
    """The driver of the fake platform in `folder`."""

    type: ClassVar[str] = "fake"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._has_key = False
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """The platform does not answer, whichever driver asks."""
        mark = self._folder / ".cut"
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()

    def finish_preparing(self) -> None:
        """What jobs wait for is there now, whenever it would have been."""
        with locked(self._folder / ".lock"):
            for mark in self._folder.glob(".prepares-*"):
                mark.write_text("0")

    async def reach(self, config: Fake) -> str:
        self._ask()
        if config is not None and config.key is not None:
            if is_mask(config.key.get_secret_value()):
                raise NotReachable("The fake platform does not know this key.")
            self._has_key = True
            return f"fake:{self._folder}:locked"
        return f"fake:{self._folder}"

    async def prepare(self) -> None:
        self._ask()

    async def check(self, config: Fake) -> list[Finding]:
        return [Finding("the fake platform", ok=not self._is_cut())]

    async def start(self, request: FakeRequest) -> Handle:
        self._ask()
        job, knobs = request.job, request.knobs
        with locked(self._folder / ".lock"):
            known = self._read(job.name)
            if known is not None:
                if (known["owner"], known["attempt_id"]) != (job.owner, str(job.attempt_id)):
                    raise JobRejected(f"{job.name} belongs to {known['owner']}.", reason=Reason.CONFIGURATION_INVALID)
                return self._handle(job.name)
            self._prepare(job.name, knobs.prepares_for)
            refused = self._folder / f".refused-{job.name}"
            if knobs.start_error == "always" or (knobs.start_error == "once" and not refused.exists()):
                refused.touch()
                raise JobRejected("The platform refuses to start it.", reason=knobs.start_reason)
            self._make(request)
        if knobs.loses_answer:
            raise NotReachable("The answer was lost.")
        return self._handle(job.name)

    async def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        return [self._observe(handle.data["name"]) if self._may_see(handle) else _hidden() for handle in handles]

    async def wait_for_news(self, timeout: float) -> None:
        await asyncio.sleep(min(timeout, _TICK))

    async def output(self, handle: Handle, since: int = 0) -> Output:
        self._ask()
        if not self._may_see(handle):
            raise NotReachable(_hidden().message or "")
        name = handle.data["name"]
        if self._read(name) is None:
            raise JobNotFound(f"There is no job {name}.")
        ended = self._observe(name).status == "ENDED"
        data = (self._folder / name / "output").read_bytes()[since:]
        whole = data if ended else data[: data.rfind(b"\n") + 1]
        return Output(whole.decode(errors="replace"), since + len(whole))

    async def stop(self, handle: Handle, grace: float) -> None:
        self._ask()
        name = handle.data["name"]
        record = self._read(name)
        if record is None or self._observe(name).status == "ENDED":
            return
        await asyncio.sleep(record["knobs"]["stop_takes"])
        if record["pid"] is None:
            self._write(name, {**record, "stopped_at": self._age(record)})
            return
        self._signal(record["pid"], signal.SIGTERM)
        deadline = clock.monotonic() + grace
        while self._observe(name).status != "ENDED":
            if clock.monotonic() >= deadline:
                self._signal(record["pid"], signal.SIGKILL)
                self._write(name, {**record, "stopped_at": self._age(record)})
            await asyncio.sleep(_TICK)

    async def remove(self, handle: Handle) -> None:
        self._ask()
        name = handle.data["name"]
        if self._observe(name).status in {"PENDING", "RUNNING"}:
            raise InfrastructureError(f"{name} has not ended.")
        with suppress(FileNotFoundError):
            (self._folder / name).rename(self._folder / f".removed-{name}")

    async def find(self, owner: str) -> list[Found]:
        self._ask()
        found = []
        for name in sorted(os.listdir(self._folder)):
            record = None if name.startswith(".") else self._read(name)
            if record is not None and record["owner"] == owner:
                seen = self._observe(name)
                ended_at = seen.exit.observed_at if seen.exit else None
                handle, attempt_id = self._handle(name), UUID(record["attempt_id"])
                found.append(Found(handle, name, attempt_id, seen.status == "ENDED", ended_at, self.keeps(handle)))
        return found

    async def find_job(self, job_name: str) -> Handle | None:
        self._ask()
        return self._handle(job_name) if self._read(job_name) is not None else None

    def keeps(self, handle: Handle) -> bool | None:
        keep: bool | None = handle.data["keep"]
        return keep

    def pid(self, handle: Handle) -> str:
        return f"fake:{handle.data['name']}"

    async def close(self) -> None:
        return None

    # the platform

    def _is_cut(self) -> bool:
        return (self._folder / ".cut").exists()

    def _ask(self) -> None:
        if self._is_cut():
            raise NotReachable("The fake platform does not answer.")

    def _handle(self, name: str) -> Handle:
        record = self._read(name)
        knobs = record["knobs"] if record is not None else {"keep": None, "key": None}
        data = {"name": name, "keep": knobs["keep"], "locked": knobs["key"] is not None}
        return Handle(type=self.type, version=1, data=data)

    def _may_see(self, handle: Handle) -> bool:
        return self._has_key or not handle.data["locked"]

    def _prepare(self, name: str, seconds: float) -> None:
        """Raise StillPreparing until `seconds` after the first call."""
        mark = self._folder / f".prepares-{name}"
        if seconds and not mark.exists():
            mark.write_text(str(clock.now().timestamp()))
        left = seconds - (clock.now().timestamp() - float(mark.read_text())) if seconds else 0.0
        if left > 0:
            raise StillPreparing("the image fake:1 to be fetched")

    def _make(self, request: FakeRequest) -> None:
        job = request.job
        folder = self._folder / job.name
        folder.mkdir()
        (folder / "output").write_text(request.knobs.prints)
        pid = None
        if job.command:
            process = subprocess.Popen(
                ["sh", "-c", _RUNNER, str(folder), *job.command],
                env={**os.environ, **request.env},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            pid, process.returncode = process.pid, 0  # nobody waits for it: its end is in the folder
        record = {
            "owner": job.owner,
            "attempt_id": str(job.attempt_id),
            "labels": job.labels,
            "pid": pid,
            "started_at": clock.now().timestamp(),
            "stopped_at": None,
            "knobs": request.knobs.model_dump(mode="json"),
        }
        self._write(job.name, record)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads((self._folder / name / "job.json").read_text())
        except FileNotFoundError:
            return None
        vanishes = record["knobs"]["vanishes_after"]
        return None if vanishes is not None and self._age(record) >= vanishes else record

    def _write(self, name: str, record: dict[str, Any]) -> None:
        draft = self._folder / name / f".{os.getpid()}.tmp"
        draft.write_text(json.dumps(record))
        draft.rename(self._folder / name / "job.json")

    def _age(self, record: dict[str, Any]) -> float:
        return float(clock.now().timestamp() - record["started_at"])

    def _signal(self, group: int, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(group, number)

    def _observe(self, name: str) -> Observation:
        now = clock.now()
        record = self._read(name)
        if self._is_cut() or (record is not None and self._age(record) < record["knobs"]["unseen_for"]):
            return Observation(status="UNKNOWN", observed_at=now, message="The fake platform does not answer.")
        if record is None:
            return Observation(status="MISSING", observed_at=now, message=f"There is no job {name}.")
        knobs = record["knobs"]
        if self._age(record) < knobs["pending_for"] and record["stopped_at"] is None:
            return Observation(status="PENDING", observed_at=now, waiting_for="its time to come")
        found = self._exit(name, record)
        if found is None:
            return Observation(status="RUNNING", observed_at=now)
        return Observation(status="ENDED", observed_at=now, message=found.message, reason=found.reason, exit=found)

    def _exit(self, name: str, record: dict[str, Any]) -> Exit | None:
        """How the job ended; None if it runs."""
        knobs, stopped_at = record["knobs"], record["stopped_at"]
        ended_after = knobs["pending_for"] + knobs["runs_for"] if stopped_at is None else stopped_at
        code, number = knobs["exit_code"], knobs["exit_signal"]
        if record["pid"] is not None:
            try:
                code, number = int((self._folder / name / "code").read_text()), None
            except FileNotFoundError:
                if stopped_at is None:
                    return None
                number = signal.SIGKILL
            if code > 128:
                number = code - 128
        elif stopped_at is not None:
            number = signal.SIGTERM
        elif self._age(record) < ended_after:
            return None
        ended_at = clock.now() - timedelta(seconds=max(0.0, self._age(record) - ended_after))
        if number is not None:
            reason = knobs["exit_reason"] or (Reason.OUT_OF_MEMORY if knobs["oom"] else Reason.SIGNALLED)
            message = f"It was killed by signal {int(number)}."
            return Exit(
                signal=number, oom=knobs["oom"], reason=reason, message=message, source="fake", observed_at=ended_at
            )
        reason_of_code = knobs["exit_reason"] or (Reason.EXITED if code else None)
        message = f"It exited with code {code}."
        return Exit(code=code, reason=reason_of_code, message=message, source="fake", observed_at=ended_at)
