"""What an engine is too old for is refused before anything is made: it would leave it out without a word."""

from typing import Any

import pytest
from docker_engine import busybox_image, engine

from penstock.errors import JobRejected
from penstock.infrastructure import DockerContainer
from penstock.infrastructure.docker.driver import DockerDriver
from penstock.infrastructure.docker.fitness import findings
from penstock.infrastructure.docker.raw import newer_fields
from penstock.infrastructure.docker.render import render
from penstock.model.base import JSONObject

from .docker_jobs import Jobs

NEWER: list[tuple[JSONObject, str, tuple[int, int]]] = [
    ({"host_config": {"Annotations": {"a": "b"}}}, "HostConfig.Annotations", (1, 43)),
    ({"host_config": {"ConsoleSize": [80, 64]}}, "HostConfig.ConsoleSize", (1, 42)),
    ({"config": {"Healthcheck": {"StartInterval": 10**9}}}, "Healthcheck.StartInterval", (1, 44)),
]


def _request(fields: dict[str, Any]) -> JSONObject:
    job = Jobs(engine().address).job()
    return render(DockerContainer(image=busybox_image(), network_mode="none", **fields), job)


@pytest.mark.parametrize(("fields", "name", "since"), NEWER)
def test_a_field_says_which_api_has_it_and_an_older_one_is_told_apart(
    fields: JSONObject, name: str, since: tuple[int, int]
) -> None:
    request = _request(fields)
    assert newer_fields(request) == {name: since}
    older, same = (findings({}, api, request) for api in ((1, 41), since))
    assert any(name in found.tried and not found.ok for found in older)
    assert not any(name in found.tried for found in same)


def test_what_every_engine_knows_needs_no_newer_one() -> None:
    assert newer_fields(_request({"host_config": {"OomScoreAdj": 1}, "config": {"Hostname": "a"}})) == {}


@pytest.mark.parametrize(("fields", "name", "since"), NEWER)
def test_a_start_is_refused_by_its_name_where_the_engine_is_too_old(
    fields: JSONObject, name: str, since: tuple[int, int]
) -> None:
    with engine().client() as client:
        spoken = tuple(int(part) for part in client.api_version.split("."))
    if spoken >= since:
        pytest.skip(f"the engine knows {name}")
    jobs = Jobs(engine().address)

    async def start(driver: DockerDriver) -> None:
        request = _request(fields)
        with pytest.raises(JobRejected, match="does not know") as refused:
            await driver.start(request)
        assert name in refused.value.message
        assert await driver.find_job(request["create"]["name"]) is None

    jobs.ask(start)
