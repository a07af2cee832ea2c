"""The agent as a whole: its parts wired together, its start, its end."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from penstock import clock, settings
from penstock.agent import health, identity
from penstock.agent.cancel import Cancels
from penstock.agent.claims import Claims, Orders
from penstock.agent.endings import Endings
from penstock.agent.launch import Launches
from penstock.agent.ledger import Ledger, Stage
from penstock.agent.options import Options
from penstock.agent.output import Console
from penstock.agent.platforms import Platforms
from penstock.agent.preflight import preflight
from penstock.agent.reconcile import Reconciler
from penstock.agent.supervision import Supervisor, Watchdog
from penstock.agent.sweep import Sweep
from penstock.client.asynchronous import get_client

_log = logging.getLogger("penstock.agent")

#: Exit status when nothing would get better by trying again: no server is named, or it refuses the key (EX_CONFIG).
EXIT_CONFIGURATION = 78
#: Seconds between two looks at what keeps an agent from beginning that was asked to wait.
LOOK_AGAIN_SECONDS = 2.0
#: Exit status of an agent that was told to stop twice.
EXIT_AT_ONCE = 130
#: Seconds that the server may take to answer one request. What was not answered is asked again by whoever needs it.
TRY_SECONDS = 20.0
#: Seconds that reports get to reach the server when the agent leaves. What is lost then is observed again by the next.
FLUSH_SECONDS = 10.0
#: Seconds that launches under way get to come to an end when the agent leaves.
LAUNCH_SECONDS = 30.0
#: Seconds between two looks at attempts whose change nobody tells.
LOOK_AT_LEDGER_SECONDS = 0.5
#: Seconds after which a poll loop that has not begun a new round is stuck: each of its waits is bounded well below.
POLL_STUCK_SECONDS = 120.0
#: Seconds without an answer after which the agent is not ready.
READY_SECONDS = 30.0


class Agent:
    def __init__(self, options: Options, api_url: str, key: str | None) -> None:
        self.options = options
        self.identity = identity.acquire(settings.home(), options.name)
        self.client = get_client(api_url, key, max_retries=0, timeout=TRY_SECONDS)
        self.ledger = Ledger()
        self.supervisor = Supervisor()
        self.watchdog = Watchdog(settings.get("PENSTOCK_AGENT_WATCHDOG_SECONDS"))
        self.platforms = Platforms(self.identity, api_url, self.supervisor)
        self.console = Console()
        self.endings = Endings(self.identity.id, self.client, self.ledger, self.supervisor, self.console)
        self.launches = Launches(self.identity, self.client, self.ledger, self.platforms, self.endings, self.supervisor)
        self.cancels = Cancels(self.ledger, self.endings, self.supervisor)
        self.reconciler = Reconciler(self.ledger, self.platforms, self.endings, self.supervisor, self.console)
        self.sweep = Sweep(self.client, self.ledger, self.platforms)
        self.claims = Claims(
            options,
            self.identity,
            self.client,
            self.ledger,
            self.platforms,
            Orders(self.launches, self.cancels, self.endings),
        )
        self._leave = asyncio.Event()
        self._api_url = api_url

    async def run(self) -> int:
        """Work until told to stop; the exit status."""
        self._obey_signals()
        if not await self._may_begin():
            return EXIT_CONFIGURATION
        server = await self._serve_health()
        self.watchdog.start()
        keep = self.supervisor.keep
        keep("heart", self._beat)
        keep("local processes", self.platforms.meet_local_processes)
        for slug in self.platforms.met_before():
            self.supervisor.spawn(f"meet {slug}", self.platforms.meet(slug))
        keep("reports", self.endings.reports.run)
        keep("reconciler", self.reconciler.run)
        keep("sweep", self.sweep.run)
        _log.info("%s takes runs from %s at %s", self.options.name, self.options.sources(), self._api_url)
        _log.info("It can run %s", ", ".join(self.platforms.capabilities()))
        polling = keep("claims", self.claims.run)
        self.supervisor.spawn("ready", self._say_ready())
        if self.options.run_once:
            self.supervisor.spawn("once", self._leave_when_done())
        if self.options.life_fd is not None:
            self.supervisor.spawn("life", self._leave_with_whom_it_is_for(self.options.life_fd))
        await self._leave.wait()
        await self._drain(polling)
        if server is not None:
            server.close()
        return 0

    async def _may_begin(self) -> bool:
        """Whether it makes sense to begin; what is in the way is told, and waited for if so asked."""
        told: list[str] = []
        while True:
            found = await preflight(self.client, self._api_url, self.options)
            if not found.obstacles or not self.options.wait:
                break
            if found.obstacles != told:
                told = found.obstacles
                _log.warning("Waiting, because: %s", "; ".join(told))
            try:
                async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                    await self._leave.wait()
                return False
            except TimeoutError:
                pass
        for obstacle in found.obstacles:
            _log.error("%s", obstacle)
        for remark in found.remarks:
            _log.warning("%s", remark)
        return not found.obstacles

    async def _serve_health(self) -> asyncio.Server | None:
        port = self.options.health_port
        if port is None:
            return None
        return await health.serve(port, self._live, self._ready, self.metrics, self.options.health_host)

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)

    def _told_to_stop(self) -> None:
        if self._leave.is_set():
            os._exit(EXIT_AT_ONCE)
        _log.info("Asked to stop: no more runs are taken. Once more to stop at once.")
        self._leave.set()

    async def _say_ready(self) -> None:
        await self.claims.answered.wait()
        if self.options.ready_fd is not None:
            os.write(self.options.ready_fd, f"{self.identity.id}\n".encode())
            os.close(self.options.ready_fd)

    async def _leave_when_done(self) -> None:
        await self.claims.drained_queue.wait()
        await self._leave_with_the_last()

    async def _leave_with_whom_it_is_for(self, life: int) -> None:
        loop, closed = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(life, closed.set)  # nothing is ever written there
        await closed.wait()
        loop.remove_reader(life)
        await self._leave_with_the_last()

    async def _leave_with_the_last(self) -> None:
        while len(self.ledger):
            await self.ledger.change()
        self._leave.set()

    async def _drain(self, polling: asyncio.Task[None]) -> None:
        """Take nothing more, finish launches, wait as long as allowed, tell everything, hand the rest over."""
        self.claims.stop()
        # The poll under way is given up. A run that it has just brought is not listed in the goodbye, and so let go.
        polling.cancel()
        await asyncio.wait({polling}, timeout=1.0)
        await self.claims.say_goodbye(hand_over=False)
        # what its platform holds up is handed over as it is
        await self._until(lambda: all(held.held_up for held in self.ledger.at(Stage.LAUNCHING)), LAUNCH_SECONDS)
        patience = settings.get("PENSTOCK_AGENT_DRAIN_SECONDS")
        if patience > 0 and len(self.ledger):
            _log.info("Waiting up to %.0f s for %d runs to end and be cleared away", patience, len(self.ledger))
            renewing = self.supervisor.keep("renewing", self.claims.renew)
            await self._until(lambda: not len(self.ledger), patience)
            renewing.cancel()
        if self.ledger.live:
            _log.info("%d runs go on without this agent", self.ledger.live)
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self.endings.reports.flushed()
        except TimeoutError:
            _log.warning("%d reports did not reach the server", len(self.endings.reports))
        await self.claims.say_goodbye(hand_over=True)
        self.console.flush(2.0)
        self.watchdog.stop()
        await self.supervisor.stop()
        await self.platforms.close()
        await self.client.close()
        self.identity.release()

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait until `done`, but no longer than `seconds`."""
        deadline = clock.monotonic() + seconds
        while not done() and (left := deadline - clock.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left, LOOK_AT_LEDGER_SECONDS)):
                    await self.ledger.change()
            except TimeoutError:
                pass

    async def _beat(self) -> None:
        """Tell the watchdog that the loop runs, as long as the polls do not hang either."""
        while True:
            if self.claims.age < POLL_STUCK_SECONDS:
                self.watchdog.beat()
            await asyncio.sleep(1.0)

    def _live(self) -> tuple[bool, str]:
        age = self.watchdog.age
        return age < 30, f"last progress {age:.1f} s ago"

    def _ready(self) -> tuple[bool, str]:
        age = clock.monotonic() - self.claims.answered_at
        if self._leave.is_set():
            return False, "leaving"
        if age == float("inf"):
            return False, "the server has not answered yet"
        said = [f"the server answered {age:.1f} s ago", *self.platforms.availability.said()]
        return age < READY_SECONDS, "\n".join(said)

    def metrics(self) -> dict[str, float]:
        """Numbers for `/metrics`."""
        numbers = {
            "attempts_held": len(self.ledger),
            "attempts_live": self.ledger.live,
            "claims_total": self.claims.claimed,
            "launches_total": self.launches.launched,
            "ends_total": self.endings.ended,
            "poll_failures_total": self.claims.failures,
            "reports_waiting": len(self.endings.reports),
            "reports_sent_total": self.endings.reports.sent,
            "looks_total": self.reconciler.ticks,
            "platforms_away": len(self.platforms.availability.away()),
            "orphans_stopped_total": self.sweep.orphans_stopped,
            "jobs_removed_total": self.sweep.removed,
            "progress_age_seconds": self.watchdog.age,
        }
        numbers |= {f"failures_{name}_total": count for name, count in self.supervisor.failures.items()}
        return {name: float(value) for name, value in numbers.items()}
