"""What can be tried of an infrastructure before anything runs on it: its values, its request, its logins, its driver."""

import asyncio
from collections.abc import Sequence

from penstock.blocks.base import Block
from penstock.blocks.references import resolved
from penstock.blocks.registration import blocks_in
from penstock.errors import PenstockError
from penstock.infrastructure import containers, registry
from penstock.infrastructure.base import Job
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.effective import Layer, effective
from penstock.infrastructure.variables import API_URL
from penstock.model.attempts import InfrastructureDocument
from penstock.model.findings import Finding

#: Seconds that a platform may take for all that its driver tries.
PATIENCE = 60.0


def check_infrastructure(
    slug: str, document: InfrastructureDocument | None, layers: Sequence[Layer], job: Job
) -> list[Finding]:
    """Try, from here, all that a job like `job` will need of the infrastructure. Raises nothing.

    Nothing is started or changed. What only the agent's machine knows is tried as it is on this one.
    """
    tried = f"the configuration of {slug}"
    try:
        infrastructure = effective(slug, document, layers).infrastructure
    except PenstockError as error:
        return [Finding(tried, False, error.message, error.hint or "")]
    found = [Finding(tried, True, "every name and value fits the type")]
    try:
        acting = resolved(infrastructure)
        registry.render(acting, job)
        found.append(Finding("the request that will be sent", True, "can be made"))
    except PenstockError as error:
        return [*found, Finding("the request that will be sent", False, error.message, error.hint or "")]
    found += [finding for block in _blocks_of(acting) for finding in check_block(block)]
    found += _check_address(acting, job)
    return [*found, *_check_driver(acting)]


def _blocks_of(infrastructure: Infrastructure) -> list[Block]:
    """The credentials and other blocks that it holds."""
    held = [getattr(infrastructure, name) for name in type(infrastructure).model_fields]
    return [block for block in blocks_in(held) if isinstance(block, Block)]


def check_block(block: Block) -> list[Finding]:
    """What the block itself finds; each finding says which type of block it is about."""
    slug = block.get_block_type_slug()
    try:
        own = block.check()
    except Exception as error:
        # the words of an error that nobody expected may hold a secret
        return [Finding(f"the {slug} block", False, f"its check raised {type(error).__name__}", "Correct that check.")]
    return [Finding(f"{slug}: {finding.tried}", finding.ok, finding.said, finding.fix) for finding in own]


def _check_address(infrastructure: Infrastructure, job: Job) -> list[Finding]:
    """Whether the API's address means the same where the job runs."""
    slug = infrastructure.get_block_type_slug()
    address = infrastructure.env.get(API_URL) or job.env.get(API_URL) or ""
    if slug in {"process", "docker-container"} or containers.local_host_in(address) is None:
        return []  # a container of this machine is told another name for it
    return [
        Finding(
            f"the API's address {address}, as jobs of {slug} see it",
            ok=False,
            said="there it means the job's own machine, where no server answers",
            fix="Set PENSTOCK_API_URL where the agent runs to an address that reaches the server from everywhere.",
        )
    ]


def _check_driver(infrastructure: Infrastructure) -> list[Finding]:
    slug = infrastructure.get_block_type_slug()
    obstacle = registry.why_not_run(slug)
    if obstacle is not None:
        able = [known for known in registry.known_types() if registry.why_not_run(known) is None]
        return [Finding(f"the driver of {slug}", False, obstacle, f"From here runs {', '.join(able)}.")]
    try:
        return asyncio.run(_asked(infrastructure))
    except TimeoutError:
        fix = "Try it again, or look at the platform itself."
        return [Finding(f"the platform of {slug}", False, f"it did not answer within {PATIENCE:g} seconds", fix)]
    except PenstockError as error:
        return [Finding(f"the platform of {slug}", False, error.message, error.hint or "")]


async def _asked(infrastructure: Infrastructure) -> list[Finding]:
    driver = registry.driver_for(infrastructure.get_block_type_slug())
    try:
        async with asyncio.timeout(PATIENCE):
            return await driver.check(infrastructure)
    finally:
        await driver.close()
