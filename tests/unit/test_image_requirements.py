"""What an image of Penstock installs: images/build/requirements.py."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _run(folder: Path, extras: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "images" / "build" / "requirements.py"), str(ROOT), extras]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize("extras", ["docker,s3", "[docker,s3]", " docker , s3 "])
def test_the_packages_of_the_extras_are_among_them(tmp_path: Path, extras: str):
    assert _run(tmp_path, extras).returncode == 0
    names = re.findall(r"^[A-Za-z0-9-]+", (tmp_path / "requirements.txt").read_text(), re.MULTILINE)
    assert {"click", "pydantic", "docker", "s3fs"} <= set(names)
    assert "kubernetes-asyncio" not in names


def test_every_version_is_one_that_was_tested_and_any_wheel_of_it_will_do(tmp_path: Path):
    assert _run(tmp_path, "").returncode == 0
    lines = (tmp_path / "constraints.txt").read_text().splitlines()
    assert len(lines) > 50
    assert [line for line in lines if "==" not in line or "--hash" in line or line.endswith("\\")] == []


def test_an_extra_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path):
    done = _run(tmp_path, "docker,kubernets")
    assert done.returncode == 1
    assert "No such extra: kubernets. There are " in done.stderr
    assert "kubernetes" in done.stderr
    assert not (tmp_path / "requirements.txt").exists()
