"""Limits, leases and lost attempts, about once a second."""

from penstock import clock, settings
from penstock.server.database.connection import Database
from penstock.server.operations.enforce_limits import Patience, enforce_limits, find_overdue
from penstock.server.services.base import Service


class LimitsService(Service):
    name = "limits"

    def __init__(self, database: Database) -> None:
        super().__init__(database, settings.get("PENSTOCK_API_SERVICES_LIMITS_INTERVAL"))

    async def tick(self) -> None:
        """Look, and write only if there is something to do."""
        lease = settings.get("PENSTOCK_AGENT_LEASE_SECONDS")
        patience = Patience(
            lost_seconds=settings.get("PENSTOCK_ATTEMPT_LOST_SECONDS"),
            judge_leases=clock.monotonic() - self.database.opened >= lease,
        )
        overdue = await self.database.read(find_overdue, patience)
        if overdue:
            await self.database.write(enforce_limits, overdue, patience)
