"""Pauses that are over their timeout, every few seconds."""

from penstock import settings
from penstock.server.database.connection import Database
from penstock.server.operations.expire_pauses import expire_pauses, find_expired_pauses
from penstock.server.services.base import Service


class PauseExpirationsService(Service):
    """For runs whose process is gone or suspended; one that waits asks by itself, and is told at once."""

    name = "pause-expirations"

    def __init__(self, database: Database) -> None:
        super().__init__(database, settings.get("PENSTOCK_API_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS"))

    async def tick(self) -> None:
        expired = await self.database.read(find_expired_pauses)
        if expired:
            await self.database.write(expire_pauses, expired)
