"""The exam that every driver passes. Derive from `DriverContract`, give it a `Candidate`, and run it with pytest:

    class TestMyDriver(DriverContract):
        @pytest.fixture(autouse=True)
        def _candidate(self, tmp_path):
            self.candidate = MyCandidate(tmp_path)

Jobs are small shell programs, so a platform needs no more than an image with `sh`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import cached_property
from typing import Any, TypeVar
from uuid import uuid4

from penstock import clock
from penstock.errors import InfrastructureError, JobRejected, NotReachable
from penstock.infrastructure.base import Driver, Handle, Job
from penstock.infrastructure.names import job_name
from penstock.infrastructure.variables import ATTEMPT_ID, ATTEMPT_TOKEN, FLOW_RUN_ID
from penstock.model.attempts import Observation

T = TypeVar("T")

EXIT_0 = ("sh", "-c", "exit 0")
EXIT_3 = ("sh", "-c", "exit 3")
KILLED = ("sh", "-c", "kill -9 $$")
POLITE = ("sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
STUBBORN = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
LINES = ("sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; printf 'the last, without an end'")


class Candidate:
    """One platform under examination. `patience`: seconds within which it is expected to do anything.

    `tells_unended_lines`: whether the platform always tells a last line without an end from one that has one.
    """

    patience: float = 60.0
    tells_unended_lines: bool = True

    def driver(self) -> Driver:
        """A new driver of the platform, as a restarted agent makes one."""
        raise NotImplementedError

    def request(self, job: Job) -> Any:
        """The request that runs `job`."""
        raise NotImplementedError

    def refused(self, job: Job) -> Any:
        """A request with `job`'s name that the platform refuses to start."""
        raise NotImplementedError

    def cut(self) -> AbstractContextManager[None] | None:
        """Within it, the platform does not answer. None: that cannot be done here."""
        return None


class DriverContract:
    """The questions. Each is independent of the others and leaves nothing behind."""

    candidate: Candidate

    @cached_property
    def owner(self) -> str:
        """Whose jobs these are: nobody else's, so that several exams can share a platform."""
        return uuid4().hex[:16]

    @property
    def stranger(self) -> str:
        return self.owner[::-1]

    def job(self, command: Sequence[str] = EXIT_0, owner: str | None = None) -> Job:
        """A job as an agent makes one."""
        owner = owner or self.owner
        attempt_id, flow_run_id = uuid4(), uuid4()
        return Job(
            name=job_name("Exam", attempt_id),
            title="Exam",
            attempt_id=attempt_id,
            flow_run_id=flow_run_id,
            owner=owner,
            command=command,
            env={ATTEMPT_ID: str(attempt_id), FLOW_RUN_ID: str(flow_run_id)},
            secret_env={ATTEMPT_TOKEN: "a-token"},
            labels={"penstock.io/owner": owner},
        )

    # start

    def test_starting_twice_makes_one_job_and_gives_an_equal_handle(self) -> None:
        async def question(driver: Driver) -> None:
            request = self.candidate.request(self.job(POLITE))
            first = await driver.start(request)
            assert await driver.start(request) == first
            await self._until_output(driver, first, "ready\n")
            assert (await driver.output(first)).text == "ready\n"  # once

        self._ask(question)

    def test_starting_at_once_from_two_agents_makes_one_job(self) -> None:
        async def question(driver: Driver) -> None:
            request = self.candidate.request(self.job(POLITE))
            async with self._open() as other:
                handles = await asyncio.gather(*(each.start(request) for each in (driver, other, driver, other)))
            assert all(handle == handles[0] for handle in handles)
            await self._until_output(driver, handles[0], "ready\n")
            assert len(await driver.find(self.owner)) == 1

        self._ask(question)

    def test_starting_again_what_has_ended_starts_nothing(self) -> None:
        async def question(driver: Driver) -> None:
            request = self.candidate.request(self.job(EXIT_3))
            handle = await driver.start(request)
            await self._until(driver, handle, "ENDED")
            assert await driver.start(request) == handle
            assert (await driver.observe([handle]))[0].status == "ENDED"

        self._ask(question)

    def test_a_name_that_belongs_to_somebody_else_is_a_hard_error_and_left_alone(self) -> None:
        async def question(driver: Driver) -> None:
            theirs = self.job(POLITE, owner=self.stranger)
            handle = await driver.start(self.candidate.request(theirs))
            ours = self.job(POLITE)
            clash = Job(**{**vars(ours), "name": theirs.name})
            await self._raises(JobRejected, driver.start(self.candidate.request(clash)))
            assert (await driver.observe([handle]))[0].status in {"PENDING", "RUNNING"}

        self._ask(question)

    def test_a_refused_start_says_why_and_leaves_nothing(self) -> None:
        async def question(driver: Driver) -> None:
            job = self.job()
            error = await self._raises(JobRejected, driver.start(self.candidate.refused(job)))
            assert isinstance(error, JobRejected)
            assert error.reason is not None
            assert error.message
            assert await driver.find_job(job.name) is None
            assert await driver.find(job.owner) == []

        self._ask(question)

    # observe

    def test_the_exit_code_is_known(self) -> None:
        async def question(driver: Driver) -> None:
            for command, code in ((EXIT_0, 0), (EXIT_3, 3)):
                handle = await driver.start(self.candidate.request(self.job(command)))
                seen = await self._until(driver, handle, "ENDED")
                assert seen.exit is not None
                assert (seen.exit.code, seen.exit.signal) == (code, None)
                assert (seen.reason is None) == (code == 0)
                assert seen.message

        self._ask(question)

    def test_death_by_a_signal_is_no_exit_code_of_its_own(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(KILLED)))
            seen = await self._until(driver, handle, "ENDED")
            assert seen.exit is not None
            assert seen.exit.signal == 9 or seen.exit.code == 137
            assert seen.reason is not None

        self._ask(question)

    def test_a_batch_is_answered_in_order_and_the_same_each_time(self) -> None:
        async def question(driver: Driver) -> None:
            commands = [EXIT_3, POLITE, EXIT_0, POLITE]
            handles = [await driver.start(self.candidate.request(self.job(command))) for command in commands]
            for index in (0, 2):
                await self._until(driver, handles[index], "ENDED")
            for index in (1, 3):
                await self._until(driver, handles[index], "RUNNING")
            for _ in range(3):
                seen = await driver.observe(handles)
                assert [each.status for each in seen] == ["ENDED", "RUNNING", "ENDED", "RUNNING"]
                assert [each.exit.code if each.exit else None for each in seen] == [3, None, 0, None]
            assert await driver.observe([]) == []

        self._ask(question)

    def test_the_end_of_a_job_wakes_who_waits_for_news(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(("sh", "-c", "sleep 0.3"))))
            deadline = clock.monotonic() + self.candidate.patience
            while (await driver.observe([handle]))[0].status != "ENDED":
                assert clock.monotonic() < deadline
                await driver.wait_for_news(self.candidate.patience)

        self._ask(question)

    def test_a_wait_for_news_that_do_not_come_ends(self) -> None:
        async def question(driver: Driver) -> None:
            await asyncio.wait_for(driver.wait_for_news(0.05), self.candidate.patience)

        self._ask(question)

    def test_what_was_removed_is_missing(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job()))
            await self._until(driver, handle, "ENDED")
            await driver.remove(handle)
            assert (await driver.observe([handle]))[0].status == "MISSING"

        self._ask(question)

    def test_what_cannot_be_seen_is_unknown_and_never_missing(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(POLITE)))
            await self._until(driver, handle, "RUNNING")
            cut = self.candidate.cut()
            if cut is None:
                return
            with cut:
                assert (await driver.observe([handle]))[0].status == "UNKNOWN"
                await self._raises(NotReachable, driver.stop(handle, 0))
            assert (await driver.observe([handle]))[0].status == "RUNNING"

        self._ask(question)

    # output

    def test_output_comes_once_in_whole_lines_and_can_be_resumed_by_another(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(LINES)))
            pieces, offset, ended = [], 0, False
            while not ended:
                ended = (await driver.observe([handle]))[0].status == "ENDED"
                async with self._open() as other:
                    piece = await other.output(handle, offset)
                if piece.text and not piece.text.endswith("\n"):
                    assert (await driver.observe([handle]))[0].status == "ENDED"  # then, and only then
                pieces.append(piece.text)
                offset = piece.offset
            while piece.text:
                piece = await driver.output(handle, offset)
                pieces.append(piece.text)
                offset = piece.offset
            expected = "".join(f"line {number}\n" for number in range(3000)) + "the last, without an end"
            written = "".join(pieces)
            assert (written if self.candidate.tells_unended_lines else written.removesuffix("\n")) == expected

        self._ask(question)

    # stop

    def test_a_polite_stop_lets_the_job_end_by_itself(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(POLITE)))
            await self._until_output(driver, handle, "ready\n")
            await driver.stop(handle, self.candidate.patience)
            seen = (await driver.observe([handle]))[0]
            assert seen.exit is not None
            assert seen.exit.code == 0

        self._ask(question)

    def test_a_job_that_does_not_hear_is_stopped_by_force(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(STUBBORN)))
            await self._until_output(driver, handle, "ready\n")
            await driver.stop(handle, 0.2)
            seen = (await driver.observe([handle]))[0]
            assert seen.status in {"ENDED", "MISSING"}
            assert seen.exit is None or seen.exit.code != 0

        self._ask(question)

    def test_stopping_twice_at_once_is_stopping(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(STUBBORN)))
            await self._until_output(driver, handle, "ready\n")
            async with self._open() as other:
                await asyncio.gather(driver.stop(handle, self.candidate.patience * 10), other.stop(handle, 0.2))
            assert (await driver.observe([handle]))[0].status in {"ENDED", "MISSING"}

        self._ask(question)

    def test_stopping_what_has_ended_or_never_was_is_success(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(EXIT_3)))
            await self._until(driver, handle, "ENDED")
            await driver.stop(handle, 1)
            seen = (await driver.observe([handle]))[0]
            assert seen.exit is not None
            assert seen.exit.code == 3  # what is known of its end is kept
            await driver.remove(handle)
            await driver.stop(handle, 1)

        self._ask(question)

    # other processes, other agents

    def test_a_handle_is_json_and_serves_another_driver(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(POLITE)))
            again = Handle.from_json(json.loads(json.dumps(handle.to_json())))
            assert again == handle
            await driver.close()
            async with self._open() as other:
                await self._until_output(other, again, "ready\n")
                assert (await other.observe([again]))[0].status == "RUNNING"
                assert other.pid(again) == driver.pid(handle)
                await other.stop(again, self.candidate.patience)
                seen = (await other.observe([again]))[0]
                assert seen.exit is not None
                assert seen.exit.code == 0

        self._ask(question)

    def test_a_job_is_found_by_its_name(self) -> None:
        async def question(driver: Driver) -> None:
            job = self.job(POLITE)
            assert await driver.find_job(job.name) is None
            handle = await driver.start(self.candidate.request(job))
            async with self._open() as other:
                assert await other.find_job(job.name) == handle

        self._ask(question)

    def test_jobs_are_found_by_their_owner_and_no_others(self) -> None:
        async def question(driver: Driver) -> None:
            running, over, foreign = self.job(POLITE), self.job(EXIT_0), self.job(POLITE, owner=self.stranger)
            handles = {job.name: await driver.start(self.candidate.request(job)) for job in (running, over, foreign)}
            await self._until(driver, handles[over.name], "ENDED")
            found = {item.job_name: item for item in await driver.find(self.owner)}
            assert set(found) == {running.name, over.name}
            for job, ended in ((running, False), (over, True)):
                assert found[job.name].handle == handles[job.name]
                assert found[job.name].attempt_id == job.attempt_id
                assert found[job.name].ended is ended

        self._ask(question)

    def test_equal_drivers_have_an_equal_reach(self) -> None:
        async def question(driver: Driver) -> None:
            async with self._open() as other:
                assert await driver.reach(None) == await other.reach(None)

        self._ask(question)

    # remove

    def test_removing_twice_is_removing(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job()))
            await self._until(driver, handle, "ENDED")
            await driver.remove(handle)
            await driver.remove(handle)
            assert await driver.find(self.owner) == []

        self._ask(question)

    def test_a_job_that_runs_is_not_removed(self) -> None:
        async def question(driver: Driver) -> None:
            handle = await driver.start(self.candidate.request(self.job(POLITE)))
            await self._until(driver, handle, "RUNNING")
            await self._raises(InfrastructureError, driver.remove(handle))
            assert (await driver.observe([handle]))[0].status == "RUNNING"

        self._ask(question)

    # how the questions are put

    def _ask(self, question: Callable[[Driver], Coroutine[Any, Any, None]]) -> None:
        async def put() -> None:
            async with self._open() as driver:
                try:
                    await question(driver)
                finally:
                    await self._clean_up()

        asyncio.run(put())

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Driver]:
        driver = self.candidate.driver()
        try:
            yield driver
        finally:
            await driver.close()

    async def _clean_up(self) -> None:
        async with self._open() as driver:
            found = [each for owner in (self.owner, self.stranger) for each in await driver.find(owner)]
            await asyncio.gather(*(self._clear_away(driver, each.handle) for each in found))

    async def _clear_away(self, driver: Driver, handle: Handle) -> None:
        await driver.stop(handle, 0)
        await driver.remove(handle)

    async def _until(self, driver: Driver, handle: Handle, status: str) -> Observation:
        deadline = clock.monotonic() + self.candidate.patience
        while (seen := (await driver.observe([handle]))[0]).status != status:
            assert clock.monotonic() < deadline, f"it does not become {status}: {seen!r}"
            await driver.wait_for_news(0.05)
        return seen

    async def _until_output(self, driver: Driver, handle: Handle, text: str) -> None:
        deadline = clock.monotonic() + self.candidate.patience
        while (written := (await driver.output(handle)).text) != text:
            assert clock.monotonic() < deadline, f"it has written {written!r}, not {text!r}"
            await driver.wait_for_news(0.05)

    async def _raises(self, kind: type[Exception], call: Awaitable[T]) -> Exception:
        try:
            answer = await call
        except kind as error:
            return error
        raise AssertionError(f"{kind.__name__} was expected, not {answer!r}")
