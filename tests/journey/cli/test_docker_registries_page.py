"""docs/docker-registries.md: its commands run as they stand, against a registry in place of the one that it names."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import docker_engine
import pytest
from cli_process import SameProcess
from docker_registry import Registry

from penstock.infrastructure.docker import pulling
from penstock.infrastructure.docker.logins import HELPER_SECONDS
from penstock.infrastructure.docker.probe import BAD_SECONDS, GOOD_SECONDS
from penstock.model.reasons import Reason
from penstock.testing import TestServer

PAGE = (Path(__file__).parents[3] / "docs" / "docker-registries.md").read_text()
NAMED = "registry.example.com:5000"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """One with the page's image in it."""
    engine, image = docker_engine.engine(), docker_engine.busybox_image()
    with docker_engine.registry({"ci": "the-password-of-ci"}) as running:
        with engine.client() as client:
            running.push(client, image, "team/etl:1")
        yield running


def test_the_commands_run_as_they_stand(running: TestServer, registry: Registry, tmp_path: Path) -> None:
    part = PAGE[PAGE.index("## Private registries") : PAGE.index("## Fetching")].replace(NAMED, registry.address)
    (file,) = re.findall(r"^```yaml\n# registry\.yaml\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    (tmp_path / "registry.yaml").write_text(file)
    env = {
        **running.env,
        **docker_engine.engine().env,
        "DOCKER_CONFIG": str(tmp_path),
        "REGISTRY_PASSWORD": "the-password-of-ci",
    }
    here = SameProcess(env, tmp_path)
    lines = re.findall(r"^\$ penstock (.*)$", part, re.MULTILINE)
    made, checked, infrastructure, tried = [here(*shlex.split(line)) for line in lines]
    assert [made.code, checked.code, infrastructure.code] == [0, 0, 0], (made, checked, infrastructure)
    assert "the registry let ci in" in checked.out
    assert f"{registry.address} gives it as ci" in tried.out
    assert "the-password-of-ci" not in "".join(one.out + one.err for one in (made, checked, infrastructure, tried))
    again = re.search(r"`penstock (block create .* --overwrite)`", PAGE)
    assert again is not None
    here.ok(*shlex.split(again[1]))
    (tmp_path / "registry.yaml").unlink()
    assert not (tmp_path / "config.json").exists(), "the docker program's configuration is left alone"


def test_its_figures_are_those_of_the_code() -> None:
    assert f"{pulling.UNWANTED_SECONDS:.0f} seconds after the last run" in PAGE
    assert pulling.FRESH_SECONDS == 5
    assert "within five seconds" in PAGE
    assert pulling.SILENCE_SECONDS == 300
    assert "for five minutes is given up" in PAGE
    assert f"more than {HELPER_SECONDS:.0f} seconds" in PAGE
    assert (GOOD_SECONDS, BAD_SECONDS) == (6 * 3600, 60)
    assert "six hours if it was good, a minute if not" in PAGE


def test_it_names_every_reason_that_a_pull_can_have() -> None:
    reasons = (
        Reason.IMAGE_NOT_FOUND,
        Reason.IMAGE_NOT_PERMITTED,
        Reason.IMAGE_PULL_FAILED,
        Reason.CONFIGURATION_INVALID,
    )
    assert [reason for reason in reasons if f"`{reason}`" not in PAGE] == []
