"""Whoever is killed, a job's end is known or said to be unknown; it is never guessed, and no job runs on unseen."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from freezing import freeze

from penstock.infrastructure.base import Handle
from penstock.infrastructure.process.driver import ProcessDriver
from penstock.infrastructure.process.folder import JobFolder
from penstock.model.reasons import Reason

from .conftest import launchers, the_launcher
from .processes import (
    ENGINE,
    a_driver,
    is_alive,
    keeper,
    keeper_of,
    known,
    point_jobs_at,
    put_jobs_aside,
    python,
    shell,
    until_ended,
    until_gone,
    until_written,
)
from .test_process_trees import HIDING

#: An agent: starts a job, prints its handle, and waits to be killed.
AGENT = """
import asyncio, json, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from infrastructure.processes import *
async def main():
    driver = ProcessDriver(Path(sys.argv[1]), ENGINE)
    handle = await driver.start(shell("echo one; read line < go; echo two; exit 3", working_dir=sys.argv[3]))
    print(json.dumps(handle.to_json()), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_a_job_survives_its_agent_and_the_next_one_knows_all_of_it(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    tests = str(Path(__file__).parents[1])
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(home), tests, str(tmp_path)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert agent.stdout is not None
    handle = Handle.from_json(json.loads(agent.stdout.readline()))
    os.killpg(agent.pid, signal.SIGKILL)  # all that is of its group, as a terminal or a careless supervisor does
    agent.wait()
    agent.stdout.close()

    async def story() -> None:
        async with a_driver(home) as driver:
            assert (await driver.observe([handle]))[0].status == "RUNNING"
            (tmp_path / "go").write_text("on\n")
            seen = await until_ended(driver, handle)
            assert seen.exit is not None
            assert seen.exit.code == 3
            assert (await driver.output(handle)).text == "one\ntwo\n"

    asyncio.run(story())


def test_a_job_survives_its_launcher_and_the_next_one_starts_more(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            first = await driver.start(shell(f"while [ ! -e {home}/go ]; do sleep 0.05; done; exit 3"))
            launcher = known(the_launcher(home))
            os.kill(launcher[0], signal.SIGKILL)
            await until_gone([launcher])
            second = await driver.start(shell("exit 4"))
            (home / "go").touch()
            for handle, code in ((first, 3), (second, 4)):
                seen = await until_ended(driver, handle)
                assert seen.exit is not None
                assert seen.exit.code == code

    asyncio.run(story())


def test_a_start_whose_launcher_is_killed_in_the_middle_happens_once(home: Path, tmp_path: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            await driver.prepare()
            launcher = the_launcher(home)
            freeze(launcher)
            request = shell(f"echo ran >> {tmp_path}/ran; echo ready; sleep 600")
            starting = asyncio.create_task(driver.start(request))
            done, _ = await asyncio.wait([starting], timeout=0.3)
            assert not done  # the request is on its way, and nobody reads it
            os.kill(launcher, signal.SIGKILL)
            handle = await starting
            assert await driver.start(request) == handle
            assert (await driver.observe([handle]))[0].status == "RUNNING"
            assert len(await driver.find("tests")) == 1
            await until_written(driver, handle)
            await driver.stop(handle, 0)
            assert (tmp_path / "ran").read_text() == "ran\n"

    asyncio.run(story())


@pytest.mark.parametrize("launcher_lives", [True, False])
def test_a_job_whose_keeper_is_killed_is_stopped_and_its_end_is_called_unknown(
    home: Path, launcher_lives: bool
) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            handle = await driver.start(python(HIDING + "time.sleep(600)"))
            processes = [known(line) for line in await until_written(driver, handle, lines=3)]
            if not launcher_lives:
                launcher = known(the_launcher(home))
                os.kill(launcher[0], signal.SIGKILL)
                await until_gone([launcher])
            os.kill(keeper_of(home, handle).keeper_pid, signal.SIGKILL)
            if launcher_lives:
                await until_gone(processes)  # with no agent looking
            seen = await until_ended(driver, handle)
            assert not any(is_alive(each) for each in processes)
            assert seen.reason is Reason.LOST
            assert seen.exit is not None
            assert (seen.exit.code, seen.exit.signal) == (None, None)
            assert "keeper" in (seen.message or "")

    asyncio.run(story())


def test_a_job_whose_keeper_and_launcher_are_gone_can_be_stopped(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            handle = await driver.start(python(HIDING + "time.sleep(600)"))
            processes = [known(line) for line in await until_written(driver, handle, lines=3)]
            for pid in [*launchers(home), keeper_of(home, handle).keeper_pid]:
                os.kill(pid, signal.SIGKILL)
            await driver.stop(handle, 0.2)
            assert not any(is_alive(each) for each in processes)
            await driver.remove(handle)

    asyncio.run(story())


def test_a_reboot_is_told_from_a_loss(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            handle = await _a_job_as_if(home, driver, boot_id="an-earlier-boot")
            [seen] = await driver.observe([handle])
            assert (seen.status, seen.reason) == ("ENDED", Reason.HOST_REBOOTED)
            assert seen.exit is not None
            assert seen.exit.code is None

    asyncio.run(story())


def test_a_stranger_that_got_the_pid_of_a_job_is_left_alone(home: Path) -> None:
    async def story() -> None:
        stranger = await asyncio.create_subprocess_exec("sleep", "600")
        try:
            async with a_driver(home) as driver:
                handle = await _a_job_as_if(
                    home, driver, keeper_pid=stranger.pid, main_pid=stranger.pid, keeper_start_time=1, main_start_time=1
                )
                [seen] = await driver.observe([handle])
                assert (seen.status, seen.reason) == ("ENDED", Reason.LOST)
                await driver.stop(handle, 0)
                assert is_alive(known(stranger.pid))
        finally:
            stranger.kill()
            await stranger.wait()

    asyncio.run(story())


async def _a_job_as_if(home: Path, driver: ProcessDriver, **changes: object) -> Handle:
    """A job that has ended, put back to before its end was written, with other processes written down."""
    handle = await driver.start(shell("true"))
    await until_ended(driver, handle)
    folder = JobFolder(home, handle.data["name"])
    await until_gone([keeper(home, handle)])
    (folder.path / "exit.json").unlink()
    record = folder.path / "keeper.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), **changes}))
    return handle


def test_a_job_whose_folder_is_gone_is_stopped_because_nobody_can_find_it_any_more(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            handle = await driver.start(python(HIDING + "time.sleep(600)"))
            processes = [known(line) for line in await until_written(driver, handle, lines=3)]
            processes.append(keeper(home, handle))
            shutil.rmtree(home / "jobs")
            assert (await driver.observe([handle]))[0].status == "MISSING"
            await until_gone(processes)

    asyncio.run(story())


def test_a_disk_that_cannot_be_read_for_a_while_costs_no_job(home: Path) -> None:
    put_jobs_aside(home)

    async def story() -> None:
        async with a_driver(home) as driver:
            handle = await driver.start(shell(f"while [ ! -e {home}/go ]; do sleep 0.05; done; exit 3"))
            record = keeper_of(home, handle)
            point_jobs_at(home, "jobs")
            os.kill(record.keeper_pid, signal.SIGUSR1)  # look for orders
            (home / "go").touch()
            await until_gone([(record.main_pid, record.main_start_time)])
            assert is_alive((record.keeper_pid, record.keeper_start_time))
            point_jobs_at(home, "aside")
            seen = await until_ended(driver, handle)
            assert seen.exit is not None
            assert seen.exit.code == 3

    asyncio.run(story())


def test_a_job_of_another_machine_is_neither_judged_nor_stopped(home: Path) -> None:
    from penstock.errors import NotReachable

    async def story() -> None:
        async with a_driver(home) as driver:
            handle = await driver.start(shell("sleep 600"))
            elsewhere = Handle(handle.type, handle.version, {**handle.data, "host_id": "another"})
            assert (await driver.observe([elsewhere]))[0].status == "UNKNOWN"
            for call in (driver.stop(elsewhere, 0), driver.remove(elsewhere)):
                with pytest.raises(NotReachable):
                    await call
            assert (await driver.observe([handle]))[0].status == "RUNNING"

    asyncio.run(story())


def test_the_engine_of_these_tests_is_not_penstocks(home: Path) -> None:
    assert ProcessDriver(home)._address.socket != ProcessDriver(home, ENGINE)._address.socket
