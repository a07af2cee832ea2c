"""Nothing of a job outlives it, however its processes hide."""

import asyncio
import signal
from pathlib import Path

from freezing import freeze

from penstock.infrastructure.base import Handle
from penstock.infrastructure.process.driver import ProcessDriver
from penstock.model.reasons import Reason

from .processes import (
    PATIENCE,
    Known,
    a_driver,
    is_alive,
    keeper,
    keeper_of,
    known,
    python,
    until_ended,
    until_gone,
    until_written,
)

#: Prints the pids of a main process, a child, and a grandchild orphaned into its own session, all deaf to SIGTERM.
HIDING = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def hide():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            os.write(1, b"%d\\n" % os.getpid())
            time.sleep(600)
        os._exit(0)
    os.wait()
hide()
if os.fork() == 0:
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(600)
os.write(1, b"%d\\n" % os.getpid())
"""


async def _start_hiding(driver: ProcessDriver, rest: str) -> tuple[Handle, list[Known]]:
    handle = await driver.start(python(HIDING + rest))
    return handle, [known(line) for line in await until_written(driver, handle, lines=3)]


def test_a_stop_leaves_no_process_that_left_its_group_and_session(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            handle, processes = await _start_hiding(driver, "time.sleep(600)")
            assert all(is_alive(each) for each in processes)
            await driver.stop(handle, 0.2)
            assert not any(is_alive(each) for each in processes)
            await until_gone([keeper(home, handle)])  # it leaves last, when it has told the end

    asyncio.run(story())


def test_what_a_main_process_leaves_behind_is_gone_before_its_end_is_told(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            handle, processes = await _start_hiding(driver, "sys.exit(5)")
            seen = await until_ended(driver, handle)
            assert not any(is_alive(each) for each in processes)
            assert seen.exit is not None
            assert seen.exit.code == 5

    asyncio.run(story())


def test_a_stopped_process_runs_and_can_be_stopped_for_good(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            handle = await driver.start(python("import time; print('here', flush=True); time.sleep(600)"))
            await until_written(driver, handle)
            freeze(handle.data["pid"])
            assert (await driver.observe([handle]))[0].status == "RUNNING"
            await driver.stop(handle, PATIENCE)
            seen = (await driver.observe([handle]))[0]
            assert seen.exit is not None
            assert seen.exit.signal == signal.SIGTERM  # it went on, and heard it
            assert seen.reason is Reason.SIGNALLED

    asyncio.run(story())


def test_a_keeper_that_hangs_is_passed_over(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            handle, processes = await _start_hiding(driver, "time.sleep(600)")
            freeze(keeper_of(home, handle).keeper_pid)
            await driver.stop(handle, 0)
            assert not any(is_alive(each) for each in processes)
            assert (await driver.observe([handle]))[0].status == "ENDED"

    asyncio.run(story())
