"""A server that listens on this machine alone does not hear containers in networks of their own: that is told at once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker_engine import busybox_image, engine, podman_engine, python_image

from penstock.blocks.docker_address import EngineAddress
from penstock.errors import JobRejected
from penstock.infrastructure.containers import ENGINE_COMMAND
from penstock.infrastructure.docker import probe as probes
from penstock.infrastructure.docker.connection import Engine
from penstock.infrastructure.docker.hearing import heard
from penstock.infrastructure.variables import API_URL
from penstock.model.reasons import Reason
from penstock.testing import server

from .docker_jobs import Jobs, opened, request_of


@pytest.fixture(autouse=True)
def _no_kept_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    monkeypatch.setattr(probes, "_found", {})


def refused(api_url: str, command: Sequence[str] = ENGINE_COMMAND, image: str = "") -> JobRejected:
    """What the start of a job with that API in a network of its own is refused with. The small image has no python."""
    jobs = Jobs(engine().address)
    job = jobs.job(command)
    told = replace(job, env={**job.env, API_URL: api_url})
    # with nothing of Docker's before it, so that Docker itself has to execute it
    request = request_of(told, {"init": False}, network_mode="bridge", image=image or busybox_image())

    async def story() -> JobRejected:
        async with opened(jobs.address) as driver:
            with pytest.raises(JobRejected) as refusal:
                await driver.start(request)
            assert not await driver.find(jobs.owner), "nothing of the job is left"
        return refusal.value

    return asyncio.run(story())


def test_a_run_that_could_tell_nothing_is_refused_before_it_waits_and_the_cure_is_named() -> None:
    with server() as running:
        error = refused(running.api_url, image=python_image())
    assert error.reason == Reason.CONFIGURATION_INVALID
    assert "does not reach the API" in error.message
    assert "--host 0.0.0.0" in str(error.hint)


def test_where_the_server_listens_everywhere_the_container_is_made() -> None:
    with server(env={"PENSTOCK_SERVER_API_HOST": "0.0.0.0"}) as running:
        error = refused(running.api_url.replace("0.0.0.0", "127.0.0.1"))
    assert error.reason == Reason.COMMAND_NOT_FOUND, "the engine has tried to start it"


def test_a_server_that_is_away_for_a_moment_is_no_such_case() -> None:
    assert refused("http://127.0.0.1:1/api").reason == Reason.COMMAND_NOT_FOUND


def test_a_command_of_ones_own_may_need_no_api() -> None:
    with server() as running:
        assert refused(running.api_url, ["no-such-command"]).reason == Reason.COMMAND_NOT_FOUND


def test_an_engine_with_another_name_for_its_machine_is_told_by_what_a_container_hears(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Podman takes host-gateway for a host of that name."""
    caplog.set_level("INFO", "penstock.docker")
    with podman_engine() as podman:
        jobs, image = Jobs(podman.address), python_image(podman)

        def asked(api_url: str) -> Mapping[str, Any]:
            job = jobs.job(ENGINE_COMMAND)
            request = request_of(replace(job, env={**job.env, API_URL: api_url}), network_mode="bridge", image=image)
            return asyncio.run(_heard(podman.address, request))

        with server(env={"PENSTOCK_SERVER_API_HOST": "0.0.0.0"}) as everywhere:
            for found in [asked(everywhere.api_url) for _ in range(2)]:
                url = found["create"]["environment"][API_URL]
                assert url == everywhere.api_url.replace("127.0.0.1", "host.containers.internal")
                assert not found["host_config"]["extra_hosts"]
        assert sum("host.containers.internal" in record.getMessage() for record in caplog.records) == 1
        with server() as here_alone, pytest.raises(JobRejected, match="does not reach the API") as refusal:
            asked(here_alone.api_url)
        assert "--host 0.0.0.0" in str(refusal.value.hint)


async def _heard(address: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    line = Engine(EngineAddress(address, "DOCKER_HOST"))
    try:
        await line.id()
        return await heard(line, request)
    finally:
        await line.close()
