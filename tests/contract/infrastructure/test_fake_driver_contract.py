"""The fake platform passes the drivers' exam, and its knobs do what they say."""

import asyncio
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock import clock
from penstock.errors import JobRejected, NotReachable
from penstock.infrastructure.base import Driver, Job
from penstock.infrastructure.fake import Fake, FakeDriver, render
from penstock.model.attempts import Observation
from penstock.model.reasons import Reason
from penstock.testing.driver_contract import Candidate, DriverContract


class FakeCandidate(Candidate):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def driver(self) -> Driver:
        return FakeDriver(self._folder)

    def request(self, job: Job) -> Any:
        return render(Fake(), job)

    def refused(self, job: Job) -> Any:
        return render(Fake(start_error="always"), job)

    def cut(self) -> AbstractContextManager[None]:
        return FakeDriver(self._folder).cut()


class TestFakeDriver(DriverContract):
    @pytest.fixture(autouse=True)
    def _candidate(self, tmp_path: Path) -> None:
        self.candidate = FakeCandidate(tmp_path)

    def _seen(self, knobs: Fake, *ages: float) -> list[Observation]:
        """What is seen of a job without a command so many seconds after its start, by a clock that is set by hand."""
        began = clock.now()

        async def watch() -> list[Observation]:
            driver = self.candidate.driver()
            seen = []
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(clock, "now", lambda: began)
                handle = await driver.start(render(knobs, self.job(command=())))
                for age in ages:
                    patch.setattr(clock, "now", lambda age=age: began + timedelta(seconds=age))
                    seen += await driver.observe([handle])
            return seen

        return asyncio.run(watch())

    def test_a_job_without_a_command_does_what_its_knobs_say(self) -> None:
        seen = self._seen(Fake(unseen_for=1, pending_for=2, runs_for=1, exit_code=7), 0, 1, 2, 3)
        assert [each.status for each in seen] == ["UNKNOWN", "PENDING", "RUNNING", "ENDED"]
        assert seen[-1].exit is not None
        assert seen[-1].exit.code == 7

    def test_a_job_can_die_for_lack_of_memory(self) -> None:
        [seen] = self._seen(Fake(exit_signal=9, oom=True), 0)
        assert seen.reason is Reason.OUT_OF_MEMORY

    def test_the_platform_can_forget_a_job(self) -> None:
        seen = self._seen(Fake(runs_for=60, vanishes_after=1), 0, 1)
        assert [each.status for each in seen] == ["RUNNING", "MISSING"]

    def test_a_start_can_be_refused_once(self) -> None:
        async def question(driver: Driver) -> None:
            request = render(Fake(start_error="once", start_reason=Reason.NO_CAPACITY), self.job(command=()))
            with pytest.raises(JobRejected) as refused:
                await driver.start(request)
            assert refused.value.reason is Reason.NO_CAPACITY
            await driver.start(request)

        self._ask(question)

    def test_an_answer_can_be_lost_after_the_job_was_started(self) -> None:
        async def question(driver: Driver) -> None:
            job = self.job(command=())
            with pytest.raises(NotReachable):
                await driver.start(render(Fake(loses_answer=True, runs_for=60), job))
            assert await driver.find_job(job.name) is not None

        self._ask(question)
