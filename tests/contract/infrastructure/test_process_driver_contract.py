"""Local processes pass the drivers' exam: executed, and forked from a warm interpreter."""

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.infrastructure.base import Driver, Job
from penstock.infrastructure.process.config import Process
from penstock.infrastructure.process.driver import ProcessDriver
from penstock.infrastructure.process.render import ProcessRequest, render
from penstock.testing.driver_contract import Candidate, DriverContract

from .processes import point_jobs_at, put_jobs_aside

ENGINE = "probe_engine"
PROBES = Path(__file__).parent / "probes"


class ColdCandidate(Candidate):
    """The exam's commands, each executed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        put_jobs_aside(home)

    def driver(self) -> Driver:
        return ProcessDriver(self.home, ENGINE)

    def request(self, job: Job) -> ProcessRequest:
        return render(Process(), job)

    def refused(self, job: Job) -> ProcessRequest:
        return render(Process(command=["no-such-command"]), job)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """The folder cannot be read any more."""
        point_jobs_at(self.home, "jobs")
        try:
            yield
        finally:
            point_jobs_at(self.home, "aside")


class WarmCandidate(ColdCandidate):
    """The same commands from a warm interpreter, which runs each as a child and ends as that did."""

    def request(self, job: Job) -> ProcessRequest:
        request = render(Process(), job)
        return dataclasses.replace(
            request,
            argv=(sys.executable, "-m", ENGINE),
            cold_reason=None,
            env={**request.env, "PROBE": _become(list(job.command))},
        )

    def refused(self, job: Job) -> ProcessRequest:
        return dataclasses.replace(self.request(job), cwd="/no/such/folder")


def _become(command: list[str]) -> str:
    return f"import os; os.execvp({command[0]!r}, {command!r})"


class TestProcessDriverCold(DriverContract):
    @pytest.fixture(autouse=True)
    def _candidate(self, lasting_home: Path) -> None:
        self.candidate = ColdCandidate(lasting_home)


class TestProcessDriverWarm(DriverContract):
    @pytest.fixture(autouse=True)
    def _candidate(self, lasting_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", str(PROBES))
        self.candidate = WarmCandidate(lasting_home)
