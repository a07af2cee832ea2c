"""The image that is built from images/Dockerfile does what jobs and users expect of it."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import docker
import docker_engine
import pytest


@pytest.fixture(scope="module")
def smoke(smoke_module: Any, client: docker.APIClient, penstock_image: str) -> Iterator[Any]:
    volume = f"penstock-smoke-{uuid4().hex[:12]}"
    yield smoke_module.Smoke(penstock_image, "docker", volume)
    if any(found["Name"] == volume for found in client.volumes()["Volumes"] or []):
        client.remove_volume(volume)


def test_every_check_of_the_smoke_test_holds(smoke_module: Any, smoke: Any):
    failed = {}
    for name, check in smoke_module.checks(smoke).items():
        try:
            check()
        except AssertionError as error:
            failed[name] = str(error)
    assert failed == {}


def test_the_smoke_test_fails_an_image_that_is_none_of_penstocks(
    smoke_module: Any,
    engine: docker_engine.Engine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    some = ("it names its version", "its user is a number that is not root's", "it ends with the code of its command")
    every = smoke_module.checks
    monkeypatch.setattr(smoke_module, "checks", lambda smoke: {name: every(smoke)[name] for name in some})
    assert smoke_module.main(docker_engine.busybox_image()) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("ok  ", "FAILED  "))]
    assert [line.partition(":")[0] for line in lines] == [
        f"FAILED  {some[0]}",
        f"FAILED  {some[1]}",
        f"ok      {some[2]}",
    ]


def test_nothing_of_how_this_machine_fetches_packages_is_in_the_image(client: docker.APIClient, penstock_image: str):
    config = client.inspect_image(penstock_image)["Config"]
    names = {entry.partition("=")[0] for entry in config["Env"]}
    assert names == {
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "PIP_DISABLE_PIP_VERSION_CHECK",
        "PIP_NO_CACHE_DIR",
        "PYTHONUNBUFFERED",
    }
    assert config["Entrypoint"] == ["/usr/bin/tini", "-g", "--", "/opt/penstock/entrypoint.sh"]
    assert config["WorkingDir"] == "/opt/penstock"


def test_the_labels_say_what_it_is(client: docker.APIClient, penstock_image: str):
    labels = client.inspect_image(penstock_image)["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "Penstock"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["io.penstock.python-version"] == docker_engine.python_image().rpartition(":")[2]


def test_it_holds_no_wheels_and_no_lists_of_packages(smoke: Any):
    """What it was made with stayed behind."""
    found = smoke.run(
        "sh", "-c", "find / -xdev -name '*.whl' -not -path '*/ensurepip/*' -not -path '/usr/share/python-wheels/*'"
    )
    assert found.stdout.decode().split() == [f"/opt/dist/{name}" for name in _own_wheel(smoke)]
    assert smoke.run("ls", "/wheels", "/tmp/build").returncode != 0


def _own_wheel(smoke: Any) -> list[str]:
    names: list[str] = smoke.run("ls", "/opt/dist").stdout.decode().split()
    assert len(names) == 1
    assert names[0].startswith("penstock-")
    return names
