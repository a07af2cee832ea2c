"""Late runs, every few seconds."""

from penstock import settings
from penstock.server.database.connection import Database
from penstock.server.operations.mark_late_runs import BATCH, has_late_runs, mark_late_runs
from penstock.server.services.base import Service


class LateRunsService(Service):
    name = "late-runs"

    def __init__(self, database: Database) -> None:
        super().__init__(database, interval=5.0)

    async def tick(self) -> None:
        seconds = settings.get("PENSTOCK_API_SERVICES_LATE_RUNS_AFTER_SECONDS")
        if await self.database.read(has_late_runs, seconds):
            while await self.database.write(mark_late_runs, seconds) == BATCH:
                pass
