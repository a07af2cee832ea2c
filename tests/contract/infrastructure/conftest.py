"""A home of local processes for each test, which has nothing left when the test is over."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

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
    wait_until(lambda: not launchers(folder), message="launchers are left")
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
