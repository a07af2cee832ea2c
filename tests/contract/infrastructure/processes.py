"""What the tests of local processes share: jobs to start, and a look at what really runs on this machine."""

import asyncio
import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from penstock import clock
from penstock.infrastructure.base import Handle, Job
from penstock.infrastructure.names import job_name
from penstock.infrastructure.process import procfs
from penstock.infrastructure.process.config import Process
from penstock.infrastructure.process.driver import ProcessDriver
from penstock.infrastructure.process.folder import JobFolder
from penstock.infrastructure.process.records import KeeperRecord
from penstock.infrastructure.process.render import ProcessRequest, render
from penstock.infrastructure.variables import ATTEMPT_ID, ATTEMPT_TOKEN
from penstock.model.attempts import Observation

ENGINE = "probe_engine"
PROBES = Path(__file__).parent / "probes"
PATIENCE = 120.0

#: A pid, which another process may get soon on a busy machine, and when the process that is meant began.
Known: TypeAlias = tuple[int, int]


def a_job(*command: str, owner: str = "tests") -> Job:
    attempt_id = uuid4()
    return Job(
        name=job_name("Probe", attempt_id),
        title="Probe",
        attempt_id=attempt_id,
        flow_run_id=uuid4(),
        owner=owner,
        command=command,
        env={ATTEMPT_ID: str(attempt_id)},
        secret_env={ATTEMPT_TOKEN: f"token-of-{attempt_id}"},
    )


def python(code: str, **config: Any) -> ProcessRequest:
    """A job that executes `code` in an interpreter of its own."""
    return render(Process(**config), a_job(sys.executable, "-c", code))


def shell(code: str, **config: Any) -> ProcessRequest:
    return render(Process(**config), a_job("sh", "-c", code))


def warm(code: str, **config: Any) -> ProcessRequest:
    """A job that runs `code` in a warm interpreter. It ends with the value of `code`, by default 0."""
    request = render(Process(**config), a_job())
    return dataclasses.replace(request, argv=(sys.executable, "-m", ENGINE), env={**request.env, "PROBE": code})


@asynccontextmanager
async def a_driver(home: Path) -> AsyncIterator[ProcessDriver]:
    """A driver, which is closed; jobs that it or others left in the home are stopped and removed."""
    driver = ProcessDriver(home, ENGINE)
    try:
        yield driver
    finally:
        for found in await driver.find("tests"):
            await driver.stop(found.handle, 0)
            await driver.remove(found.handle)
        await driver.close()


async def until_ended(driver: ProcessDriver, handle: Handle) -> Observation:
    deadline = clock.monotonic() + PATIENCE
    while (seen := (await driver.observe([handle]))[0]).status != "ENDED":
        assert clock.monotonic() < deadline, seen
        await driver.wait_for_news(1)
    return seen


async def until_written(driver: ProcessDriver, handle: Handle, lines: int = 1) -> list[str]:
    """The job's first `lines` lines of output."""
    deadline = clock.monotonic() + PATIENCE
    while len(found := (await driver.output(handle)).text.splitlines()) < lines:
        assert clock.monotonic() < deadline, found
        await asyncio.sleep(0.01)
    return found


async def until_gone(processes: list[Known]) -> None:
    deadline = clock.monotonic() + PATIENCE
    while left := [each for each in processes if is_alive(each)]:
        assert clock.monotonic() < deadline, f"{left} are still there"
        await asyncio.sleep(0.01)


def put_jobs_aside(home: Path) -> None:
    """Have the folder of jobs of a home be a link, before anything is in it: `point_jobs_at` changes where it leads."""
    (home / "aside").mkdir(exist_ok=True)
    point_jobs_at(home, "aside")


def point_jobs_at(home: Path, place: str) -> None:
    """At "jobs", a link to itself, the folder cannot be read; at no time is it gone, which would end its jobs."""
    draft = home / "jobs.draft"
    draft.symlink_to(place)
    draft.replace(home / "jobs")


def known(pid: int | str) -> Known:
    """The process that has that pid now."""
    found = procfs.entry(int(pid))
    return int(pid), found.start_time if found is not None else 0


def is_alive(process: Known) -> bool:
    return procfs.is_alive(*process)


def keeper(home: Path, handle: Handle) -> Known:
    record = keeper_of(home, handle)
    return record.keeper_pid, record.keeper_start_time


def keeper_of(home: Path, handle: Handle) -> KeeperRecord:
    record = JobFolder(home, handle.data["name"]).keeper()
    assert record is not None
    return record


def children_of(pid: int) -> list[procfs.Entry]:
    return [item for item in procfs.processes().values() if item.ppid == pid]


def open_descriptors(pid: int) -> set[str]:
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found
