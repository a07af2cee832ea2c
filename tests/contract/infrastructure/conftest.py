"""A home of local processes for each test, which has nothing left when the test is over."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from penstock.infrastructure.docker import checks, connection, hearing, probe
from penstock.infrastructure.process import connection as line
from penstock.testing import wait_until


@contextmanager
def a_home() -> Iterator[Path]:
    """A launcher's home. The launchers that were started in it are told to leave at the end, and waited for."""
    # not below tmp_path: pytest keeps that
    folder = Path(tempfile.mkdtemp(prefix="penstock-"))
    yield folder
    for pid in launchers(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not launchers(folder), 120, "launchers are left")
    shutil.rmtree(folder)


@pytest.fixture
def home() -> Iterator[Path]:
    """One test's own."""
    with a_home() as folder:
        yield folder


@pytest.fixture(scope="class")
def lasting_home() -> Iterator[Path]:
    """One for all tests of a class, whose launcher starts once."""
    with a_home() as folder:
        yield folder


@pytest.fixture(autouse=True)
def _no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "penstock"))


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher, an engine, a container, an API that are there are waited for, however busy this machine is."""
    monkeypatch.setattr(line, "_PATIENCE", 120.0)
    monkeypatch.setattr(connection, "ASK_SECONDS", 120.0)
    monkeypatch.setattr(probe, "ASK_SECONDS", 60)
    monkeypatch.setattr(probe, "RUN_SECONDS", 60.0)
    monkeypatch.setattr(hearing, "_PROBE_SECONDS", 120.0)
    monkeypatch.setattr(hearing, "_CONNECT_SECONDS", 30.0)
    monkeypatch.setattr(checks, "PROBE_SECONDS", 120.0)


def the_launcher(launcher_home: Path) -> int:
    """The pid of the launcher of that home, when others that were started beside it have left again."""
    return wait_until(lambda: found[0] if len(found := launchers(launcher_home)) == 1 else None, 60, "one launcher")


def launchers(launcher_home: Path) -> list[int]:
    """The pids of the launchers of that home: not of the keepers and jobs that were forked from them."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            name = (process / "comm").read_text().strip()
            if str(launcher_home).encode() in arguments and name not in {"penstock-keeper", "penstock-job"}:
                found.append(int(process.name))
    return found
