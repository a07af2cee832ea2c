"""Whether anybody serves the queues of deployments."""

from penstock.server.database.connection import Database
from penstock.server.operations.note_polls import note_polls
from penstock.server.services.base import Service


class ForemanService(Service):
    name = "foreman"

    def __init__(self, database: Database) -> None:
        super().__init__(database, interval=15.0)

    async def tick(self) -> None:
        await self.database.write(note_polls, self.interval * 2)
