"""The platforms that this agent can reach: their drivers, and what is needed to start one attempt on one of them."""

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from penstock import clock, settings
from penstock.agent.availability import PROBE_SECONDS, Availability
from penstock.agent.backoff import Backoff
from penstock.agent.identity import Identity
from penstock.agent.supervision import Supervisor
from penstock.blocks.references import resolved
from penstock.errors import NotReachable, PenstockError
from penstock.infrastructure import registry
from penstock.infrastructure.base import Driver, Job
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.job import build_job
from penstock.infrastructure.local_code import refuse_local_code
from penstock.model.attempts import AttemptStatus, Claim, InfrastructureDocument, Limits

_log = logging.getLogger("penstock.agent")

#: Seconds that a platform may take to say which place it is.
REACH_SECONDS = 30.0
#: Seconds that a driver may take to hang up.
CLOSE_SECONDS = 10.0
#: Seconds between two looks whether the platform of a type is to be had here.
LOOK_AROUND_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """All that it takes to start one attempt. `configuration` is what may be shown: it holds no secret."""

    driver: Driver
    acting: Infrastructure
    job: Job
    request: Any
    reach: str
    configuration: dict[str, Any]
    limits: Limits
    stream_output: bool


class Platforms:
    """Drivers are made when they are first needed, one per type, and shared by all attempts."""

    def __init__(self, identity: Identity, api_url: str, supervisor: Supervisor) -> None:
        self._identity = identity
        self._api_url = api_url
        self.owner = owner_of(api_url)
        self.availability = Availability(supervisor, self.reach)
        self._supervisor = supervisor
        self._looked: dict[str, float] = {}
        self._drivers: dict[str, Driver] = {}
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._types = [slug for slug in registry.known_types() if registry.why_not_run(slug) is None]

    async def driver(self, slug: str) -> Driver:
        """The driver of an infrastructure type. Raises ConfigurationError if there is none, or its SDK is missing."""
        async with self._making[slug]:
            if slug not in self._drivers:
                # an SDK takes up to a second to import, in which leases have to be renewed
                create = await asyncio.to_thread(registry.load_driver, slug)
                self._drivers[slug] = create()
        return self._drivers[slug]

    def drivers(self) -> list[Driver]:
        return list(self._drivers.values())

    def reaches(self) -> list[str]:
        """The places whose jobs this agent can see, as far as it has met them."""
        return self._identity.reaches

    def capabilities(self) -> list[str]:
        """The infrastructure types whose runs this agent can take: those whose platform answers, as far as is known."""
        away = self.availability.away()
        # to name none would mean: any
        return [slug for slug in self._types if slug not in away] or self._types

    async def meet_local_processes(self) -> None:
        """Get ready for local processes, and learn which place they are: another agent's can then be taken over."""
        _, reach = await self.reach("process", registry.infrastructure_from(None))
        self._identity.remember_reach(reach, "process")
        driver = await self.driver("process")
        async with asyncio.timeout(REACH_SECONDS):
            await driver.prepare()

    async def meet(self, slug: str) -> None:
        """Learn which place a type's platform is without any configuration of its own, so that jobs there are found.

        Returns when it has answered, or when that type needs more to be known.
        """
        backoff = Backoff(first=PROBE_SECONDS)
        while True:
            try:
                await self._meet_once(slug)
                return
            except NotReachable as error:
                # it may be the wrong one to ask: whether its runs can be taken, the first of them tells
                if not backoff.failures:
                    _log.warning("The platform of %s jobs does not answer: %s", slug, error)
                await asyncio.sleep(backoff.next())
            except PenstockError as error:
                _log.info("The platform of %s jobs is met with its next run: %s", slug, error)
                return

    def look_around(self, slug: str) -> None:
        """Find out whether the platform of that type which is to be had here is the place of jobs that nobody looks after.

        Asked once in a while at most, and of no type whose place is known.
        """
        now = clock.monotonic()
        known = self.availability.has_answered(slug) or slug not in self._types
        if not known and now - self._looked.get(slug, float("-inf")) >= LOOK_AROUND_SECONDS:
            self._looked[slug] = now
            self._supervisor.spawn(f"meet {slug}", self._look(slug))

    async def _look(self, slug: str) -> None:
        try:
            await self._meet_once(slug)
        except PenstockError as error:
            _log.info("There are %s jobs that nobody looks after, and none can be seen from here: %s", slug, error)

    async def _meet_once(self, slug: str) -> None:
        config = registry.infrastructure_from(InfrastructureDocument(slug=slug))
        reach = await _reach(await self.driver(slug), config)
        self.availability.answered(slug, reach, config)
        self._identity.remember_reach(reach, slug)

    def met_before(self) -> list[str]:
        """The types besides processes that this agent has had jobs of, in this life or an earlier one."""
        return [slug for slug in self._identity.types if slug in self._types and slug != "process"]

    async def reach(self, slug: str, config: Infrastructure) -> tuple[Driver, str]:
        """The driver of `slug`, which knows the way to the place of `config` from now on, and that place.

        Raises NotReachable, which is noted, and whatever else the driver says.
        """
        driver = await self.driver(slug)
        try:
            reach = await _reach(driver, config)
        except NotReachable as error:
            self.availability.silent(slug, config, error.message)
            raise
        self.availability.answered(slug, reach, config)
        return driver, reach

    async def plan(self, claim: Claim) -> Plan:
        """Everything up to the exact request. Raises what says why it cannot be: see `penstock.agent.failures`."""
        infrastructure = registry.resolve(claim)
        slug = infrastructure.get_block_type_slug()
        if claim.attempt.status is AttemptStatus.CLAIMED:
            refuse_local_code(claim, infrastructure)
        job = build_job(claim, self._api_url, settings.for_jobs(), self.owner)
        # from here on with what references in it stand for on this machine; what is shown keeps the references
        acting = await asyncio.to_thread(resolved, infrastructure)
        request = registry.render(acting, job)
        driver, reach = await self.reach(slug, acting)
        return Plan(
            driver=driver,
            acting=acting,
            job=job,
            request=request,
            reach=reach,
            configuration=infrastructure.snapshot(),
            limits=infrastructure.limits(),
            stream_output=bool(getattr(infrastructure, "stream_output", False)),
        )

    async def way_to(self, claim: Claim) -> tuple[Driver, Infrastructure]:
        """The driver of an attempt's job that was meant for a platform by somebody, once it knows the way there, and
        the configuration that led there.

        Raises NotReachable as long as the place does not answer, and ConfigurationError if no configuration is left.
        """
        attempt = claim.attempt
        slug = str(attempt.handle["type"] if attempt.handle else attempt.infrastructure_type)
        obstacle: PenstockError | None = None
        elsewhere: tuple[Driver, Infrastructure] | None = None
        for config in await asyncio.to_thread(lambda: list(_configurations(claim, slug))):
            if isinstance(config, PenstockError):
                obstacle = obstacle or config
                continue
            try:
                driver, reach = await self.reach(slug, config)
            except PenstockError as error:
                obstacle = error if isinstance(error, NotReachable) else obstacle or error
                continue
            self._identity.remember_reach(reach, slug)
            if attempt.reach in (None, reach):
                return driver, config
            elsewhere = elsewhere or (driver, config)
        if elsewhere is None or attempt.handle is None:
            # a job without a handle is looked for by its name, which says nothing where it cannot be
            raise obstacle or NotReachable(f"The configuration of its {slug} job leads to another place now.")
        # the handle says where the job is, and the driver whether it can be seen from there
        return elsewhere

    async def close(self) -> None:
        """Hang up everywhere. What does not let go in time ends with this process."""
        for driver in self._drivers.values():
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await driver.close()
            except Exception as error:
                _log.warning("The driver of %s jobs was not closed: %s", driver.type, error or type(error).__name__)


async def _reach(driver: Driver, config: Infrastructure) -> str:
    try:
        async with asyncio.timeout(REACH_SECONDS):
            return await driver.reach(config)
    except TimeoutError:
        raise NotReachable(
            f"The platform of {driver.type} jobs did not say within {REACH_SECONDS:g} s which one it is."
        ) from None


def _configurations(claim: Claim, slug: str) -> Iterator[Infrastructure | PenstockError]:
    """How the attempt's job may have been started, as far as it is of that type: as its deployment says now, secrets
    included; then as it was kept, without."""
    try:
        current = registry.resolve(claim)
        if current.get_block_type_slug() == slug:
            yield resolved(current)
    except PenstockError as error:
        yield error
    kept = claim.attempt.configuration
    if kept:
        try:
            yield resolved(registry.infrastructure_from(InfrastructureDocument(slug=slug, data=kept)))
        except PenstockError as error:
            yield error


def owner_of(api_url: str) -> str:
    """The label by which the jobs of this server's runs are told from everybody else's."""
    return hashlib.sha256(api_url.rstrip("/").encode()).hexdigest()[:16]
