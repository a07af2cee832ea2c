"""Scheduled deployments get their runs."""

from datetime import datetime

from penstock import clock
from penstock.server.database.connection import Database
from penstock.server.operations.plan_runs import Active, active_schedules, plan_runs
from penstock.server.services.base import Service

#: Schedules that one transaction plans at most.
BATCH = 20


class SchedulerService(Service):
    """Looks at a schedule when it is new, when it or its deployment changed, and when its next planned time has
    come."""

    name = "scheduler"

    def __init__(self, database: Database) -> None:
        super().__init__(database, interval=2.0)
        self._look_at: dict[Active, datetime] = {}

    async def tick(self) -> None:
        active = await self.database.read(active_schedules)
        self._look_at = {stamp: self._look_at[stamp] for stamp in active if stamp in self._look_at}
        now = clock.now()
        due = [stamp for stamp in active if stamp not in self._look_at or self._look_at[stamp] <= now]
        for start in range(0, len(due), BATCH):
            batch = due[start : start + BATCH]
            looks = await self.database.write(plan_runs, [stamp.schedule_id for stamp in batch])
            for stamp in batch:
                if stamp.schedule_id in looks:
                    self._look_at[stamp] = looks[stamp.schedule_id]
