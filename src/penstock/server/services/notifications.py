"""Messages of notification policies are sent, by a process that is there only while there are some."""

from datetime import datetime
from functools import partial

from penstock import clock, settings
from penstock.model.base import new_id
from penstock.server.database.connection import Database
from penstock.server.operations.claim_deliveries import Terms, claim_deliveries, next_due
from penstock.server.operations.queue_notifications import MESSAGES
from penstock.server.operations.settle_deliveries import release_deliveries, renew_deliveries, settle_deliveries
from penstock.server.services.base import Service
from penstock.server.services.notifier_process import NotifierProcess

#: Messages that one process sends at once.
ROOM = 8
#: Seconds between two looks for messages that another server has left behind.
LOOK_SECONDS = 15.0
#: Seconds after which a try is given up, and the process with it, that hangs in somebody's service.
TRY_SECONDS = 120.0
#: Seconds that messages under way have when the server stops; and first wait before what they were is tried again.
GRACE, RELEASE_SECONDS = 4.0, 1.0
_GONE = "The process that was sending it has ended; it may have been sent."


class NotificationsService(Service):
    """Wakes when a message was written in this server, when the next one is due, and when one has been sent."""

    name = "notifications"

    def __init__(self, database: Database) -> None:
        super().__init__(database, interval=0.05)
        self._holder = new_id()
        self._terms = Terms(
            limit=settings.get("PENSTOCK_NOTIFICATIONS_LIMIT"),
            span=settings.get("PENSTOCK_NOTIFICATIONS_LIMIT_SECONDS"),
            tries=settings.get("PENSTOCK_NOTIFICATIONS_TRIES"),
            first_wait=settings.get("PENSTOCK_NOTIFICATIONS_RETRY_SECONDS"),
            lease=settings.get("PENSTOCK_NOTIFICATIONS_LEASE_SECONDS"),
            ui_url=settings.get("PENSTOCK_UI_URL") or "",
        )
        self._idle_seconds: float = settings.get("PENSTOCK_NOTIFICATIONS_IDLE_SECONDS")
        self._process: NotifierProcess | None = None
        self._renewed = 0.0

    async def tick(self) -> None:
        """Whatever there is to do, then wait until there is more."""
        with self.database.hub.subscribe([MESSAGES]) as news:
            await self._look_after()
            due = await self._hand_out()
            await news.wait(self._pause(due))

    async def stop(self) -> None:
        """What is under way may come to its end; the rest is for the next server."""
        await super().stop()
        if self._process is not None:
            await self._process.leave(GRACE)
            await self._settle(self._process)
            await self._release()

    async def _look_after(self) -> None:
        """Of the process, if there is one: what it has done, whether it lives, whether it is needed any longer."""
        process = self._process
        if process is None:
            return
        await self._settle(process)
        if process.ended:
            self._process = None
            await self._release()
        elif process.slowest() > TRY_SECONDS:
            process.kill()
        elif process.idle_seconds() > self._idle_seconds:
            self._process = None
            await process.leave(GRACE)
        elif process.under_way and clock.monotonic() - self._renewed > self._terms.lease / 3:
            self._renewed = clock.monotonic()
            ids = list(process.under_way)
            await self.database.write(renew_deliveries, self._holder, ids, self._terms)

    async def _hand_out(self) -> datetime | None:
        """Start what is due, as far as there is room; when the next message is due."""
        room = ROOM - len(self._process.under_way) if self._process is not None else ROOM
        due = await self.database.read(next_due)
        if due is None or due > clock.now() or room < 1:
            return due
        if self._process is None:
            # before anything is claimed: a system that starts no process costs no message a try
            self._process = await NotifierProcess.start(partial(self.database.hub.publish, {MESSAGES}))
        orders = await self.database.write(claim_deliveries, self._holder, room, self._terms)
        await self._process.send(orders)
        return await self.database.read(next_due)

    def _pause(self, due: datetime | None) -> float:
        """Seconds until there is something to do, if nobody wakes us before."""
        pauses = [LOOK_SECONDS]
        process = self._process
        if due is not None and (process is None or len(process.under_way) < ROOM):
            pauses.append((due - clock.now()).total_seconds())
        if process is not None:
            pauses.append(self._terms.lease / 3 if process.under_way else self._idle_seconds - process.idle_seconds())
        return max(0.0, min(pauses))

    async def _settle(self, process: NotifierProcess) -> None:
        outcomes = list(process.outcomes)
        if outcomes:
            await self.database.write(settle_deliveries, self._holder, outcomes, self._terms)
            process.forget(outcomes)

    async def _release(self) -> None:
        """Of a process that is gone: what it had."""
        wait = min(RELEASE_SECONDS, self._terms.first_wait)
        await self.database.write(release_deliveries, self._holder, _GONE, wait)
