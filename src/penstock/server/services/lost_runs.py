"""Runs of programs that are no more, about once a minute."""

from penstock import clock, settings
from penstock.server.database.connection import Database
from penstock.server.operations.close_lost_runs import close_lost_runs, find_lost_runs
from penstock.server.services.base import Service

#: Seconds between two looks, and after the server's start before the first verdict: who was kept from reporting by the
#: server's own absence reports again within this.
INTERVAL = 60.0


class LostRunsService(Service):
    name = "lost-runs"

    def __init__(self, database: Database) -> None:
        super().__init__(database, INTERVAL)

    async def tick(self) -> None:
        if clock.monotonic() - self.database.opened < INTERVAL:
            return
        silence = settings.get("PENSTOCK_RUN_LOST_SECONDS")
        if await self.database.read(find_lost_runs, silence):
            await self.database.write(close_lost_runs, silence)
