"""Scheduled deployments get their runs."""

from penstock.server.database.connection import Database
from penstock.server.operations.plan_runs import find_due_schedules, plan_runs
from penstock.server.operations.skip_missed_runs import BATCH as MISSED_BATCH
from penstock.server.operations.skip_missed_runs import find_missed_runs, skip_missed_runs
from penstock.server.services.base import Service

#: Schedules that one transaction plans at most: others write in between.
BATCH = 400


class SchedulerService(Service):
    """Looks at schedules that are new or changed, and at those whose next planned time has come."""

    name = "scheduler"

    def __init__(self, database: Database) -> None:
        super().__init__(database, interval=2.0)

    async def tick(self) -> None:
        while due := await self.database.read(find_due_schedules, BATCH):
            if await self.database.write(plan_runs, due, wait=False) < BATCH:
                break
        while missed := await self.database.read(find_missed_runs):
            if await self.database.write(skip_missed_runs, missed) < MISSED_BATCH:
                break
