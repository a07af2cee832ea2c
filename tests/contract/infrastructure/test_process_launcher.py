"""The launcher: one per home and interpreter, needed by nobody for long, and without leaks."""

import asyncio
import functools
import gc
import os
import signal
from pathlib import Path

import pytest

from penstock.infrastructure.process import warmth
from penstock.infrastructure.process.driver import ProcessDriver
from penstock.infrastructure.process.folder import JobFolder
from penstock.testing import wait_until

from .conftest import launchers, the_launcher
from .processes import (
    ENGINE,
    PROBES,
    Known,
    a_driver,
    children_of,
    is_alive,
    keeper,
    keeper_of,
    known,
    open_descriptors,
    shell,
    until_ended,
    until_gone,
    warm,
)


@pytest.fixture(autouse=True)
def _probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROBES))


def test_drivers_that_race_start_one_launcher(home: Path) -> None:
    async def story() -> None:
        drivers = [ProcessDriver(home, ENGINE) for _ in range(4)]
        answers = await asyncio.gather(*(driver._connection.ask("hello") for driver in drivers))
        assert {answer["pid"] for answer in answers} == {the_launcher(home)}
        for driver in drivers:
            await driver.close()

    asyncio.run(story())


def test_the_launcher_is_nobodys_child_and_has_a_session_of_its_own(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            await driver.prepare()
            launcher = the_launcher(home)
            assert launcher not in {item.pid for item in children_of(os.getpid())}
            assert os.getsid(launcher) != os.getsid(0)

    asyncio.run(story())


def test_fifty_jobs_started_at_once_all_end_and_leave_neither_descriptors_nor_zombies(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            await driver.prepare()
            launcher = the_launcher(home)
            gc.collect()  # what others have left open would be missing afterwards
            before = len(open_descriptors(launcher)), len(open_descriptors(os.getpid()))
            requests = [warm(f"code = {number}") if number % 2 else shell(f"exit {number}") for number in range(50)]
            handles = await asyncio.gather(*(driver.start(request) for request in requests))
            for number, handle in enumerate(handles):
                seen = await until_ended(driver, handle)
                assert seen.exit is not None
                assert seen.exit.code == number
            keepers = [keeper(home, handle) for handle in handles]
            await until_gone(keepers)
            wait_until(lambda: children_of(launcher) == [], message="the launcher has not reaped its children")
            await driver.wait_for_news(0)  # takes note of what it was told
            # an end is heard of, and then its descriptor is closed
            wait_until(lambda: len(open_descriptors(launcher)) <= before[0], message="the launcher has closed them")
            assert len(open_descriptors(os.getpid())) <= before[1]

    asyncio.run(story())


def test_a_job_holds_nothing_of_the_launchers(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            for request in (shell("sleep 600"), warm("import time; time.sleep(600)")):
                handle = await driver.start(request)
                folder = JobFolder(home, handle.data["name"])
                allowed = {"/dev/null", str(folder.output)}
                # a program that is just being loaded has files of its own open
                wait_until(functools.partial(_holds, handle.data["pid"], allowed), message="it holds its output alone")
                keeper = keeper_of(home, handle).keeper_pid
                own = {"/dev/null", str(folder.path / "lock"), *home.glob("*.log")}
                wait_until(functools.partial(_holds_only, keeper, {str(name) for name in own}))

    asyncio.run(story())


def _holds(pid: int, wanted: set[str]) -> bool:
    return open_descriptors(pid) == wanted


def _holds_only(pid: int, allowed: set[str]) -> bool:
    return open_descriptors(pid) <= allowed


def test_a_home_with_a_long_name_serves_too(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home / ("long" * 50)) as driver:
            seen = await until_ended(driver, await driver.start(shell("exit 3")))
            assert seen.exit is not None
            assert seen.exit.code == 3

    asyncio.run(story())


def test_a_launcher_that_retires_leaves_jobs_alone_and_the_next_serves_the_same_line(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            first = await driver.start(shell("sleep 600"))
            old = known(the_launcher(home))
            await driver._connection.ask("retire")
            second = await driver.start(shell("sleep 600"))
            await until_gone([old])
            assert old[0] not in launchers(home)
            assert [seen.status for seen in await driver.observe([first, second])] == ["RUNNING", "RUNNING"]

    asyncio.run(story())


def test_new_code_on_the_disk_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmth, "_penstock", lambda: tmp_path)
    (tmp_path / "module.py").touch()
    before = warmth.stamp()
    assert warmth.stamp() == before
    (tmp_path / "another.py").touch()
    assert warmth.stamp() != before


def test_a_launcher_without_jobs_and_agents_leaves(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_LAUNCHER_IDLE_SECONDS", "0.2")

    async def story() -> Known:
        async with a_driver(home) as driver:
            handle = await driver.start(shell("sleep 1"))
            launcher = known(the_launcher(home))
            await until_ended(driver, handle)
            assert is_alive(launcher)  # an agent is there
            return launcher

    launcher = asyncio.run(story())
    wait_until(lambda: not is_alive(launcher))
    assert not list(home.glob("*.sock"))


def test_a_launcher_whose_home_was_removed_leaves(home: Path) -> None:
    async def story() -> Known:
        async with a_driver(home) as driver:
            await driver.prepare()
            return known(the_launcher(home))

    launcher = asyncio.run(story())
    [socket] = home.glob("*.sock")
    socket.unlink()
    wait_until(lambda: not is_alive(launcher))


def test_nonsense_on_the_line_ends_that_line_only(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            await driver.prepare()
            connection = driver._address.connect()
            connection.sendall(b"nonsense\n")
            connection.settimeout(30)
            assert connection.recv(10) == b""
            connection.close()
            seen = await until_ended(driver, await driver.start(shell("exit 3")))
            assert seen.exit is not None
            assert seen.exit.code == 3

    asyncio.run(story())


def test_signals_meant_for_others_do_not_end_a_keeper(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            handle = await driver.start(shell(f"while [ ! -e {home}/go ]; do sleep 0.05; done; exit 3"))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(keeper_of(home, handle).keeper_pid, number)
            (home / "go").touch()
            seen = await until_ended(driver, handle)
            assert seen.exit is not None
            assert seen.exit.code == 3

    asyncio.run(story())


def test_a_check_finds_what_is_wrong_before_anything_runs(home: Path) -> None:
    from penstock.infrastructure.process.config import Process

    async def story() -> None:
        async with a_driver(home) as driver:
            assert all(finding.ok for finding in await driver.check(Process()))
            launcher, command, folder = await driver.check(Process(command=["nonesuch"], working_dir="/no/such/place"))
            assert launcher.ok
            assert (command.ok, folder.ok) == (False, False)
            assert command.fix
            assert folder.fix

    asyncio.run(story())


def test_a_home_that_cannot_be_made_is_told_as_such(tmp_path: Path) -> None:
    from penstock.errors import NotReachable
    from penstock.infrastructure.process.config import Process

    (tmp_path / "file").touch()

    async def story() -> None:
        driver = ProcessDriver(tmp_path / "file" / "home", ENGINE)
        with pytest.raises(NotReachable) as unreachable:
            await driver.start(shell("true"))
        assert "PENSTOCK_LAUNCHER_HOME" in (unreachable.value.hint or "")
        assert not (await driver.check(Process()))[0].ok
        await driver.close()

    asyncio.run(story())
