"""Cancel orders: the job is stopped, politely and then by force, and told only when it is confirmed gone."""

import asyncio
import logging

from penstock.agent.endings import Endings
from penstock.agent.ledger import Held, Ledger, Stage
from penstock.agent.supervision import Supervisor
from penstock.infrastructure.base import Driver, Handle
from penstock.model.attempts import CancelOrder, Observation

_log = logging.getLogger("penstock.agent")

OBSERVE_SECONDS = 60.0
#: Seconds between two looks at a job that was stopped and is not seen as gone yet.
LOOK_AGAIN_SECONDS = 1.0


class Cancels:
    def __init__(self, ledger: Ledger, endings: Endings, supervisor: Supervisor) -> None:
        self._ledger = ledger
        self._endings = endings
        self._supervisor = supervisor

    def follow(self, order: CancelOrder) -> None:
        """Begin to follow `order`; one that is followed already, or whose attempt is not held, changes nothing."""
        held = self._ledger.get(order.attempt_id)
        if held is not None and held.cancel is None:
            held.cancel = order
            self._supervisor.spawn(f"cancel {held.id}", self._cancel(held, order))

    async def _cancel(self, held: Held, order: CancelOrder) -> None:
        # What is being started cannot be stopped yet; the launch itself looks at `held.cancel` when it has to wait.
        await held.launched.wait()
        job = held.job
        if held.stage is not Stage.WATCHED or job is None:
            return  # it has ended, which is being told, or the server let go of it
        _log.info("%s: its job is being stopped, as ordered", held.title)
        self._ledger.move(held, Stage.STOPPING)
        grace = order.grace
        while held.stopping:
            await self._endings.stop(held, *job, grace)
            seen = await self._look(held, *job)
            if seen is not None and seen.status in ("ENDED", "MISSING"):
                self._endings.job_is_over(held, seen)
                return
            _log.warning("%s: its job was stopped, but is not gone", held.title)
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            grace = 0.0

    async def _look(self, held: Held, driver: Driver, handle: Handle) -> Observation | None:
        try:
            async with asyncio.timeout(OBSERVE_SECONDS):
                return (await driver.observe([handle]))[0]
        except Exception as error:
            _log.warning("%s: its job cannot be looked at: %s", held.title, error or type(error).__name__)
            return None
