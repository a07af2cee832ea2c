"""The looks at watched jobs: what cannot be read of one job holds up nothing of another."""

import asyncio
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from penstock.agent import output
from penstock.agent.endings import Endings
from penstock.agent.ledger import Held, Ledger, Stage
from penstock.agent.output import Console
from penstock.agent.reconcile import Reconciler
from penstock.agent.supervision import Supervisor
from penstock.infrastructure.base import Handle, Output
from penstock.model.attempts import Attempt, AttemptStatus, Claim, Exit, Observation
from penstock.model.flow_runs import FlowRun
from penstock.model.flows import Flow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGENT = uuid4()


class Mute:
    """A platform that says which jobs have ended, and never anything of what some of them have printed."""

    type = "mute"

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.readable: set[str] = set()
        self.asked: list[str] = []

    async def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        return [self._seen(handle.data["name"]) for handle in handles]

    def _seen(self, name: str) -> Observation:
        if name in self.ended:
            return Observation(status="ENDED", observed_at=NOW, exit=Exit(code=0))
        return Observation(status="RUNNING", observed_at=NOW)

    async def output(self, handle: Handle, since: int) -> Output:
        name = handle.data["name"]
        self.asked.append(name)
        if name not in self.readable:
            await asyncio.Event().wait()
        return Output("hello\n" if not since else "", 6)


def held(driver: Any, name: str) -> Held:
    run = FlowRun(id=uuid4(), name=name, flow_id=uuid4())
    attempt = Attempt(id=uuid4(), flow_run_id=run.id, number=1, status=AttemptStatus.RUNNING, agent_id=AGENT)
    claim = Claim(attempt=attempt, token="t", flow_run=run, flow=Flow(id=run.flow_id, name="f"))
    return Held(claim, stage=Stage.WATCHED, driver=driver, handle=Handle("mute", 1, {"name": name}), stream_output=True)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "READ_SECONDS", 3600.0)


def test_jobs_whose_output_cannot_be_read_keep_no_others_end_and_no_others_output_from_being_told() -> None:
    async def story() -> None:
        driver, ledger, supervisor, shown = Mute(), Ledger(), Supervisor(), io.StringIO()
        console = Console(shown)
        endings = Endings(AGENT, None, ledger, supervisor, console)  # type: ignore[arg-type]
        reconciler = Reconciler(ledger, None, endings, supervisor, console)  # type: ignore[arg-type]
        mute, ends_mute, ends, talks = (held(driver, name) for name in ("mute", "ends-mute", "ends", "talks"))
        driver.ended |= {"ends-mute", "ends"}
        driver.readable |= {"ends", "talks"}
        for one in (mute, ends_mute, ends, talks):
            ledger.add(one)
        async with asyncio.timeout(120):
            while ends.final is None or not talks.offset:
                await reconciler.tick(driver)  # type: ignore[arg-type]
                await asyncio.sleep(0.01)
        assert (ends.final.output_tail, ends_mute.final, mute.stage) == ("hello\n", None, Stage.WATCHED)
        assert driver.asked.count("mute") == 1, "nobody asks again before there was an answer"
        await supervisor.stop()
        await asyncio.to_thread(console.flush, 30)
        assert "talks | hello\n" in shown.getvalue()

    asyncio.run(story())
