import asyncio
import threading

from penstock.agent.backoff import Backoff
from penstock.agent.supervision import EXIT_STUCK, Supervisor, Watchdog


def test_a_loop_that_fails_is_started_again() -> None:
    begun = 0

    async def loop() -> None:
        nonlocal begun
        begun += 1
        if begun < 2:
            raise RuntimeError("once")

    async def scenario() -> dict[str, int]:
        supervisor = Supervisor()
        async with asyncio.timeout(120):
            await supervisor.keep("loop one", loop)
        return supervisor.failures

    assert asyncio.run(scenario()) == {"loop": 1}
    assert begun == 2


def test_work_that_fails_takes_nothing_else_with_it() -> None:
    async def bad() -> None:
        raise RuntimeError("bad")

    async def good(done: asyncio.Event) -> None:
        done.set()

    async def scenario() -> None:
        supervisor = Supervisor()
        done = asyncio.Event()
        await supervisor.spawn("bad", bad())
        await supervisor.spawn("good", good(done))
        assert done.is_set()
        assert supervisor.failures == {"bad": 1}

    asyncio.run(scenario())


class QuickWatchdog(Watchdog):
    INTERVAL = 0.01


def test_a_loop_without_progress_ends_the_process() -> None:
    ended = threading.Event()
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        ended.set()

    watchdog = QuickWatchdog(0.05, end)
    watchdog.start()
    assert ended.wait(120)
    assert statuses == [EXIT_STUCK]


def test_a_loop_with_progress_is_left_alone() -> None:
    statuses: list[int] = []
    watchdog = QuickWatchdog(120.0, statuses.append)
    watchdog.start()
    stop = threading.Event()
    for _ in range(20):
        watchdog.beat()
        stop.wait(0.01)
    watchdog.stop()
    assert statuses == []


def test_delays_grow_to_their_cap_and_begin_anew_after_success() -> None:
    backoff = Backoff(first=1.0, cap=8.0)
    delays = [backoff.next() for _ in range(50)]
    assert delays[0] <= 1.0
    assert all(delay <= 8.0 for delay in delays)
    assert all(delay >= 4.0 for delay in delays[3:])
    assert backoff.next(cap=2.0) <= 2.0
    backoff.reset()
    assert backoff.next() <= 1.0
