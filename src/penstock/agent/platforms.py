"""The platforms that this agent can reach: their drivers, and what is needed to start one attempt on one of them."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

from penstock import settings
from penstock.agent.identity import Identity
from penstock.blocks.references import resolved
from penstock.errors import NotReachable
from penstock.infrastructure import registry
from penstock.infrastructure.base import Driver, Job
from penstock.infrastructure.job import build_job
from penstock.model.attempts import Claim, Limits

#: Seconds that a platform may take to say which place it is.
REACH_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """All that it takes to start one attempt. `configuration` is what may be shown: it holds no secret."""

    driver: Driver
    job: Job
    request: Any
    reach: str
    configuration: dict[str, Any]
    limits: Limits
    stream_output: bool


class Platforms:
    """Drivers are made when they are first needed, one per type, and shared by all attempts."""

    def __init__(self, identity: Identity, api_url: str) -> None:
        self._identity = identity
        self._api_url = api_url
        self.owner = owner_of(api_url)
        self._drivers: dict[str, Driver] = {}
        self._types = [slug for slug in registry.known_types() if registry.why_not_run(slug) is None]

    def driver(self, slug: str) -> Driver:
        """The driver of an infrastructure type. Raises ConfigurationError if there is none, or its SDK is missing."""
        if slug not in self._drivers:
            self._drivers[slug] = registry.driver_for(slug)
        return self._drivers[slug]

    def drivers(self) -> list[Driver]:
        return list(self._drivers.values())

    def reaches(self) -> list[str]:
        """The places whose jobs this agent can see, as far as it has met them."""
        return self._identity.reaches

    def capabilities(self) -> list[str]:
        """The infrastructure types whose runs this agent can take."""
        return self._types

    async def meet_local_processes(self) -> None:
        """Get ready for local processes, and learn which place they are: another agent's can then be taken over."""
        infrastructure = registry.infrastructure_from(None)
        driver = self.driver("process")
        async with asyncio.timeout(REACH_SECONDS):
            self._identity.remember_reach(await driver.reach(infrastructure))
            await driver.prepare()

    async def plan(self, claim: Claim) -> Plan:
        """Everything up to the exact request. Raises what says why it cannot be: see `penstock.agent.failures`."""
        infrastructure = registry.resolve(claim)
        slug = infrastructure.get_block_type_slug()
        job = build_job(claim, self._api_url, settings.for_jobs(), self.owner)
        # from here on with what references in it stand for on this machine; what is shown keeps the references
        acting = await asyncio.to_thread(resolved, infrastructure)
        request = registry.render(acting, job)
        driver = self.driver(slug)
        try:
            async with asyncio.timeout(REACH_SECONDS):
                reach = await driver.reach(acting)
        except TimeoutError:
            raise NotReachable(f"The platform of {slug} jobs does not answer.") from None
        return Plan(
            driver=driver,
            job=job,
            request=request,
            reach=reach,
            configuration=infrastructure.snapshot(),
            limits=infrastructure.limits(),
            stream_output=bool(getattr(infrastructure, "stream_output", False)),
        )

    async def close(self) -> None:
        for driver in self._drivers.values():
            await driver.close()


def owner_of(api_url: str) -> str:
    """The label by which the jobs of this server's runs are told from everybody else's."""
    return hashlib.sha256(api_url.rstrip("/").encode()).hexdigest()[:16]
