"""Old records go, a batch at a time."""

from penstock import settings
from penstock.server.database.connection import Database
from penstock.server.operations.delete_bundle import remove_unused_bundles
from penstock.server.operations.remove_stale import remove_stale
from penstock.server.services.base import Service


class CleanupService(Service):
    name = "cleanup"

    def __init__(self, database: Database) -> None:
        super().__init__(database, interval=600.0)

    async def tick(self) -> None:
        while await self.database.write(remove_stale):
            pass
        days = float(settings.get("PENSTOCK_BUNDLE_DAYS"))
        while await self.database.write(remove_unused_bundles, days):
            pass
