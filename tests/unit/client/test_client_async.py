"""The client for coroutines."""

import asyncio
import threading

import pytest
from client_scripted_server import Act, ScriptedServer

from penstock.client import get_client
from penstock.client.call import Call, any_json
from penstock.client.threads import Threads
from penstock.errors import NotFound
from penstock.testing import wait_until

ASK = Call("GET", "/thing", any_json)


def client_threads() -> int:
    return sum(thread.name == "penstock-client" for thread in threading.enumerate())


def test_answers_and_errors_come_back_to_the_coroutine(scripted: ScriptedServer) -> None:
    scripted.then(Act(body=1), Act(404, {"message": "gone"}), Act(body=True))

    async def ask() -> None:
        async with get_client(scripted.api_url) as client:
            assert await client.api_url() == scripted.api_url
            assert await client.send(ASK) == 1
            with pytest.raises(NotFound, match="gone"):
                await client.send(ASK)
            assert await client.read_health() is True
            with pytest.raises(AttributeError, match="has no method"):
                await client.read_nothing_of_the_kind()

    asyncio.run(ask())


def test_long_polls_do_not_keep_other_requests_waiting(scripted: ScriptedServer) -> None:
    scripted.then(*[Act(answer=False, end="hang")] * 8)

    async def ask() -> None:
        async with get_client(scripted.api_url) as client:
            polls = [asyncio.create_task(client.send(ASK)) for _ in range(8)]
            while len(scripted.asked) < 8:
                await asyncio.sleep(0.01)
            assert await client.send(ASK) is True
            for poll in polls:
                poll.cancel()
            results = await asyncio.gather(*polls, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)

    asyncio.run(ask())


def test_a_cancelled_request_frees_its_thread_at_once(scripted: ScriptedServer) -> None:
    scripted.then(Act(answer=False, end="hang"))

    async def ask() -> None:
        async with get_client(scripted.api_url, timeout=600) as client:
            task = asyncio.create_task(client.send(ASK))
            while not scripted.asked:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await client.send(ASK) is True

    asyncio.run(ask())
    wait_until(lambda: client_threads() == 0, message="all threads of the client are gone")


def test_a_timeout_of_the_caller_ends_the_request(scripted: ScriptedServer) -> None:
    scripted.then(Act(answer=False, end="hang"))

    async def ask() -> None:
        async with get_client(scripted.api_url, timeout=600) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.send(ASK)

    asyncio.run(ask())
    wait_until(lambda: client_threads() == 0, message="all threads of the client are gone")


def test_more_requests_than_threads_wait_for_their_turn() -> None:
    at_once: list[int] = []
    lock = threading.Lock()
    working = 0

    def work(_ticket: object) -> int:
        nonlocal working
        with lock:
            working += 1
            at_once.append(working)
        wait_until(lambda: True)
        with lock:
            working -= 1
        return 1

    async def many() -> int:
        threads = Threads(most=3)
        try:
            return sum(await asyncio.gather(*(threads.run(work) for _ in range(300))))
        finally:
            threads.close()

    assert asyncio.run(many()) == 300
    assert max(at_once) <= 3


def test_no_request_is_left_behind_an_idle_thread_that_was_just_taken() -> None:
    async def many() -> None:
        threads = Threads(most=2)
        blocked = threading.Event()
        try:
            for _ in range(200):
                blocked.clear()
                first = asyncio.create_task(threads.run(lambda _ticket: blocked.wait(120)))
                second = asyncio.create_task(threads.run(lambda _ticket: blocked.set()))
                assert await first is True
                await second
        finally:
            threads.close()

    asyncio.run(many())
