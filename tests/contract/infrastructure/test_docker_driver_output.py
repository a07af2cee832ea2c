"""What containers print: each line once, however often it is asked for, by whom, and over which line."""

import asyncio
from functools import partial

import pytest
from docker_engine import engine

from penstock.errors import JobNotFound, NotReachable
from penstock.infrastructure.base import Handle
from penstock.infrastructure.docker.driver import DockerDriver
from penstock.testing import Fault, FaultProxy

from .docker_jobs import WAITS, Jobs, address_of, let_go, opened, retried, until, until_written

#: 3,000 lines, on both streams in turn, with pauses so that they are read while they are written. It ends when it is let go.
LINES = (
    "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); echo line $i >&2; i=$((i+1)); "
    f"[ $((i % 500)) -eq 0 ] && sleep 0.1; done; {WAITS}; printf 'no end'"
)
#: Lines of which each is longer than Docker keeps in one piece; the last is longer than a piece of ours.
LONG_LINES = "for n in 1 16383 16384 16385 40000 600000; do head -c $n /dev/zero | tr '\\0' x; echo; done; echo a line; echo more"


@pytest.fixture
def jobs() -> Jobs:
    return Jobs(engine().address)


async def _read_on(driver: DockerDriver, handle: Handle, offset: int) -> tuple[str, int]:
    """All that there is now from there on."""
    texts: list[str] = []
    while True:
        piece = await retried(partial(driver.output, handle, offset), NotReachable)
        offset = piece.offset
        if not piece.text:
            return "".join(texts), offset
        texts.append(piece.text)


def test_lines_come_once_over_a_line_that_breaks_all_the_time_to_agents_that_know_nothing_but_the_offset(
    jobs: Jobs,
) -> None:
    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(("sh", "-c", LINES)))
        with FaultProxy(engine().address) as proxy:
            logs = ".*/logs.*"
            proxy.add(Fault("cut_answer", path=logs, probability=0.3, after_bytes=5000))
            proxy.add(Fault("drop_answer", path=logs, probability=0.2))
            texts, offset, ended = [], 0, False
            while not ended:
                if {"cut_answer", "drop_answer"} <= {*proxy.injected} and len("".join(texts)) > 20_000:
                    let_go(handle)
                ended = (await driver.observe([handle]))[0].status == "ENDED"
                async with opened(address_of(proxy)) as other:
                    text, offset = await _read_on(other, handle, offset)
                    texts.append(text)
        whole = "".join(texts)
        assert whole.endswith("no end")
        # the engine keeps the order of each stream, not that between them
        assert sorted(whole.split("\n")[:-1]) == sorted(f"line {number}" for number in range(3000))

    jobs.ask(question)


@pytest.mark.parametrize("log", ["json-file", "local"])
def test_long_lines_come_whole_from_each_kind_of_log(jobs: Jobs, log: str) -> None:
    async def question(driver: DockerDriver) -> None:
        kind = {"log_config": {"Type": log, "Config": {}}}
        handle = await driver.start(jobs.request(("sh", "-c", LONG_LINES), host_config=kind))
        await until(driver, handle, "ENDED")
        text, offset = await _read_on(driver, handle, 0)
        assert [len(line) for line in text.split("\n")] == [1, 16383, 16384, 16385, 40000, 600000, 6, 4, 0]
        assert await _read_on(driver, handle, offset) == ("", offset)

    jobs.ask(question)


def test_what_a_terminal_shows_is_read_as_lines(jobs: Jobs) -> None:
    async def question(driver: DockerDriver) -> None:
        request = jobs.request(("sh", "-c", "echo one; echo two >&2; printf three"))
        request["create"]["tty"] = True
        handle = await driver.start(request)
        await until(driver, handle, "ENDED")
        assert (await _read_on(driver, handle, 0))[0] == "one\ntwo\nthree"

    jobs.ask(question)


def test_a_log_that_docker_cannot_read_is_explained_once_and_fails_nothing(jobs: Jobs) -> None:
    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(("echo", "hello"), host_config={"log_config": {"Type": "none"}}))
        first = await driver.output(handle)
        assert "does not support reading" in first.text
        assert (await driver.output(handle, first.offset)).text == ""
        assert (await until(driver, handle, "ENDED")).exit is not None
        assert (await driver.output(handle, first.offset)).text == ""

    jobs.ask(question)


def test_the_output_of_a_container_that_is_gone_is_not_found(jobs: Jobs) -> None:
    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(("true",)))
        await until(driver, handle, "ENDED")
        await driver.remove(handle)
        with pytest.raises(JobNotFound):
            await driver.output(handle)

    jobs.ask(question)


def test_the_end_of_a_long_log_is_found_without_reading_what_is_before_it(jobs: Jobs) -> None:
    program = f"seq 1 40000; echo ready; {WAITS}; echo after"

    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(("sh", "-c", program)))
        texts, offset = [], 0
        while "ready\n" not in "".join(texts):
            text, offset = await _read_on(driver, handle, offset)
            texts.append(text)
        await asyncio.sleep(2.2)  # what is written later cannot have been written before that by its time
        _, offset = await _read_on(driver, handle, offset)
        with FaultProxy(engine().address) as proxy:
            whole_log = proxy.add(Fault("status", path=".*/logs.*tail=all", status=503))
            let_go(handle)
            await until(driver, handle, "ENDED")
            async with opened(address_of(proxy)) as other:
                text, _ = await _read_on(other, handle, offset)
        assert text == "after\n"
        assert whole_log.struck == 0
        assert "".join(texts) == "".join(f"{number}\n" for number in range(1, 40001)) + "ready\n"

    jobs.ask(question)


def test_a_job_whose_log_is_cut_by_the_engine_goes_on_being_read(jobs: Jobs) -> None:
    """Docker throws the beginning of a log away when its options say so."""
    options = {"log_config": {"Type": "json-file", "Config": {"max-size": "20k", "max-file": "2"}}}

    async def question(driver: DockerDriver) -> None:
        program = f"seq 1 5000; {WAITS}; echo last"
        handle = await driver.start(jobs.request(("sh", "-c", program), host_config=options))
        await until_written(driver, handle, "5000\n")
        await asyncio.sleep(2.2)  # what is written later cannot have been written before that by its time
        _, offset = await _read_on(driver, handle, 0)
        let_go(handle)
        await until(driver, handle, "ENDED")
        text, _ = await _read_on(driver, handle, offset)
        assert text == "last\n"

    jobs.ask(question)
