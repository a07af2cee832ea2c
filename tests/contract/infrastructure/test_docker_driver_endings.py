"""How containers end, and what is said of it: by themselves, by somebody else's hand, and with their engine."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker_engine import OwnEngine, engine, own_engine

from penstock.errors import JobRejected, NotReachable
from penstock.infrastructure.docker.driver import DockerDriver
from penstock.model.attempts import Observation
from penstock.model.reasons import Reason
from penstock.testing import Fault, FaultProxy

from .docker_jobs import PATIENCE, Jobs, address_of, opened, until, until_written


@pytest.fixture
def jobs() -> Jobs:
    return Jobs(engine().address)


def _ended(jobs: Jobs, *command: str, **host_config: object) -> Observation:
    """The end of a job with that command."""
    ends: list[Observation] = []

    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(command, host_config=host_config))
        ends.append(await until(driver, handle, "ENDED"))

    jobs.ask(question)
    return ends[0]


def test_a_container_that_needs_more_memory_than_it_may_have_is_out_of_memory(jobs: Jobs) -> None:
    limits = {"mem_limit": 16 * 1024**2, "memswap_limit": 16 * 1024**2}
    seen = _ended(jobs, "sh", "-c", "tail /dev/zero", **limits)
    assert seen.reason is Reason.OUT_OF_MEMORY
    assert seen.exit is not None
    assert seen.exit.oom


def test_a_flow_that_outlives_the_death_of_its_child_by_memory_ends_well(jobs: Jobs) -> None:
    limits = {"mem_limit": 16 * 1024**2, "memswap_limit": 16 * 1024**2}
    seen = _ended(jobs, "sh", "-c", "tail /dev/zero; exit 0", **limits)
    assert seen.reason is None
    assert seen.exit is not None
    assert (seen.exit.code, seen.exit.reason) == (0, None)


def test_an_exit_with_the_number_of_a_signal_is_told_as_that_number(jobs: Jobs) -> None:
    seen = _ended(jobs, "sh", "-c", "exit 137")
    assert seen.exit is not None
    assert (seen.exit.code, seen.exit.signal) == (137, None)
    assert "does not remember" in (seen.message or "")


def test_a_program_for_another_processor_is_a_command_that_cannot_be_executed(jobs: Jobs, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF of nobody's")
    program.chmod(0o755)
    tmp_path.chmod(0o755)
    reasons = []

    async def question(driver: DockerDriver) -> None:
        request = jobs.request(("/program",), host_config={"init": False}, volumes=[f"{program}:/program:ro"])
        try:
            handle = await driver.start(request)
        except JobRejected as error:  # there are runtimes that tell the engine
            reasons.append(error.reason)
            return
        seen = await until(driver, handle, "ENDED")
        assert "processor" in (seen.message or "")
        reasons.append(seen.reason)

    jobs.ask(question)
    assert reasons == [Reason.COMMAND_NOT_FOUND]


@pytest.mark.parametrize("number", [9, 15])
def test_a_signal_that_somebody_had_docker_send_is_named(jobs: Jobs, number: int) -> None:
    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(("sh", "-c", "echo ready; exec sleep 600")))
        await until_written(driver, handle, "ready")  # the first process would not hear a signal before it is set up
        with engine().client() as client:
            client.kill(handle.data["id"], number)
        seen = await until(driver, handle, "ENDED")
        assert seen.reason is Reason.SIGNALLED
        assert seen.exit is not None
        assert (seen.exit.code, seen.exit.signal) == (None, number)

    jobs.ask(question)


@pytest.mark.parametrize("fault", [Fault("status", path=".*/events.*", status=403), Fault("cut", path=".*/events.*")])
def test_an_end_is_told_where_events_are_not(jobs: Jobs, fault: Fault) -> None:
    """As behind a proxy that lets only some requests through: then the exit code is all that is known."""

    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(("sh", "-c", "exit 143")))
        seen = await until(driver, handle, "ENDED")
        assert seen.reason is Reason.SIGNALLED
        assert seen.exit is not None
        assert (seen.exit.code, seen.exit.signal) == (143, None)

    with FaultProxy(engine().address) as proxy:
        proxy.add(fault)
        jobs.ask(question, address_of(proxy))


def test_a_container_that_somebody_removed_is_missing(jobs: Jobs) -> None:
    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request())
        with engine().client() as client:
            client.remove_container(handle.data["id"], force=True)
        seen = await until(driver, handle, "MISSING")
        assert handle.data["name"] in (seen.message or "")
        await driver.stop(handle, 0)
        await driver.remove(handle)

    jobs.ask(question)


def test_a_paused_container_runs_and_can_be_stopped(jobs: Jobs) -> None:
    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request())
        await until_written(driver, handle, "ready")
        with engine().client() as client:
            client.pause(handle.data["id"])
        [seen] = await driver.observe([handle])
        assert (seen.status, seen.message) == ("RUNNING", "The container is paused.")
        await driver.stop(handle, PATIENCE)
        seen = await until(driver, handle, "ENDED")
        assert seen.exit is not None
        assert seen.exit.code == 0

    jobs.ask(question)


@pytest.fixture(scope="module")
def own() -> Iterator[OwnEngine]:
    with own_engine() as running:
        yield running


def _stop(own: OwnEngine, pid: int) -> None:
    own.stop()


def _kill(own: OwnEngine, pid: int) -> None:
    own.kill()


def _lose_power(own: OwnEngine, pid: int) -> None:
    """Engine, containerd, the container's keeper and the container itself, none of which can write anything down."""
    keeper = int(Path(f"/proc/{pid}/stat").read_text().split()[3])
    containerd = int((own.daemon.folder / "exec/containerd/containerd.pid").read_text())
    own.kill()
    for each in (containerd, keeper, pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


@pytest.mark.parametrize(
    ("take_away", "words"),
    [(_stop, "was restarted"), (_kill, "was restarted"), (_lose_power, "nobody knows how it ended")],
)
def test_a_container_that_went_with_its_engine_is_unseen_and_then_crashed_for_that_reason(
    own: OwnEngine, take_away: Callable[[OwnEngine, int], None], words: str
) -> None:
    jobs = Jobs(own.address)

    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(("sh", "-c", "echo ready; while :; do sleep 1; done")))
        over = await driver.start(jobs.request(("sh", "-c", "exit 143")))
        await until_written(driver, handle, "ready")
        await until(driver, over, "ENDED")
        with own.client() as client:
            pid = client.inspect_container(handle.data["id"])["State"]["Pid"]
        take_away(own, pid)
        assert [seen.status for seen in await driver.observe([handle, over])] == ["UNKNOWN", "UNKNOWN"]
        with pytest.raises(NotReachable):
            await driver.stop(handle, 0)
        own.start()
        seen = await until(driver, handle, "ENDED")
        assert (await until(driver, over, "ENDED")).reason is Reason.SIGNALLED  # as it was seen before
        async with opened(own.address) as other:
            again = await until(other, handle, "ENDED")
        for each in (seen, again):
            assert each.reason is Reason.HOST_REBOOTED
            assert words in (each.message or "")
            assert each.exit is not None
            assert each.exit.signal is None

    jobs.ask(question)


def test_another_engine_behind_the_same_address_knows_nothing_of_ours(own: OwnEngine, jobs: Jobs) -> None:
    """A wrong DOCKER_HOST, or a machine set up anew: that a container is not there is no sign of its end."""

    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request())
        async with opened(own.address) as other:
            [seen] = await other.observe([handle])
            assert seen.status == "UNKNOWN"
            with pytest.raises(NotReachable, match="other than"):
                await other.stop(handle, 0)
        [seen] = await driver.observe([handle])
        assert seen.status == "RUNNING"

    jobs.ask(question)
