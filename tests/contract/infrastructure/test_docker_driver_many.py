"""Many containers cost one list per look, one stream of news, and a handful of connections."""

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest
from docker_engine import engine

from penstock import clock
from penstock.errors import NotReachable
from penstock.infrastructure.docker.connection import THREADS
from penstock.infrastructure.docker.driver import DockerDriver
from penstock.testing import Fault, FaultProxy

from .docker_jobs import PATIENCE, Jobs, address_of, retried, until

soak = pytest.mark.soak, pytest.mark.skipif("PENSTOCK_TEST_SOAK" not in os.environ, reason="set PENSTOCK_TEST_SOAK")


@pytest.fixture
def jobs() -> Jobs:
    return Jobs(engine().address)


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with FaultProxy(engine().address) as running:
        yield running


@pytest.mark.parametrize("many", [10, pytest.param(30, marks=soak)])
def test_many_containers_are_watched_by_one_list_and_one_stream(jobs: Jobs, proxy: FaultProxy, many: int) -> None:
    lists = proxy.add(Fault("delay", path=".*/containers/json"))
    looks = proxy.add(Fault("delay", method="GET", path=".*/containers/[^/]+/json"))
    streams = proxy.add(Fault("delay", path=".*/events\\?filters"))

    async def question(driver: DockerDriver) -> None:
        handles = await asyncio.gather(
            *(driver.start(jobs.request(("sh", "-c", f"sleep 1; exit {number}"))) for number in range(many))
        )
        await driver.wait_for_news(0.01)
        before = lists.struck, looks.struck
        await driver.observe(handles)
        await driver.observe(handles)
        assert lists.struck - before[0] == 2
        deadline = clock.monotonic() + PATIENCE
        seen = await driver.observe(handles)
        while any(each.status != "ENDED" for each in seen):
            assert clock.monotonic() < deadline
            await driver.wait_for_news(1)
            seen = await driver.observe(handles)
        assert [each.exit.code for each in seen if each.exit] == list(range(many))
        ended = looks.struck
        await driver.observe(handles)
        assert looks.struck == ended  # an end is looked at once
        assert streams.struck < many / 2  # one, and one more for each that did not open in time
        assert sum(thread.name == "docker-events" for thread in threading.enumerate()) == 1
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("docker")]
        assert len(threads) <= 2 * THREADS + 1
        assert len(proxy._open) <= 2 * THREADS + 1

    jobs.ask(question, address_of(proxy))


def test_news_come_again_after_the_stream_broke_and_ends_are_told_without_them(jobs: Jobs, proxy: FaultProxy) -> None:
    streams = proxy.add(Fault("delay", path=".*/events\\?filters"))

    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(("sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done")))
        deadline = clock.monotonic() + PATIENCE
        while not streams.struck:
            assert clock.monotonic() < deadline
            await driver.wait_for_news(0.2)
        proxy.drop_connections()
        while streams.struck < 2:
            assert clock.monotonic() < deadline
            await driver.wait_for_news(0.2)
        while (await driver.observe([handle]))[0].status != "RUNNING":
            assert clock.monotonic() < deadline
        with engine().client() as client:
            client.kill(handle.data["id"])
        began = clock.monotonic()
        while (await driver.observe([handle]))[0].status != "ENDED":
            assert clock.monotonic() < began + PATIENCE
            await driver.wait_for_news(PATIENCE)  # which ends by itself only when it is too late
        proxy.add(Fault("cut", path=".*/events.*"))
        other = await driver.start(jobs.request(("true",)))
        await until(driver, other, "ENDED")

    jobs.ask(question, address_of(proxy))


@pytest.mark.soak
@pytest.mark.skipif("PENSTOCK_TEST_SOAK" not in os.environ, reason="set PENSTOCK_TEST_SOAK")
def test_an_engine_that_says_nothing_is_unseen_in_time(jobs: Jobs, proxy: FaultProxy) -> None:
    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request())
        proxy.add(Fault("delay", path=".*", seconds=3600))
        began = clock.monotonic()
        with pytest.raises(NotReachable):
            await driver.find_job(handle.data["name"])
        assert clock.monotonic() - began < PATIENCE
        proxy.clear()
        assert (await retried(lambda: driver.find_job(handle.data["name"]), NotReachable)) == handle

    jobs.ask(question, address_of(proxy))
