"""What is wrong with an agent's surroundings, told when it starts: before somebody waits for a run that nobody takes."""

import asyncio
import logging
from dataclasses import dataclass, field

from penstock.agent.options import Options
from penstock.client import admin, work_pools, work_queues
from penstock.client.asynchronous import AsyncClient
from penstock.errors import APIError, NotAuthorized, NotFound
from penstock.model.queue_names import matches
from penstock.model.work_pools import DEFAULT_POOL

_log = logging.getLogger("penstock.agent")

#: Seconds that the server may take to answer all of it. One that does not answer is no obstacle: it is asked on.
PATIENCE = 10.0


@dataclass
class Preflight:
    """`obstacles`: why it makes no sense to begin. `remarks`: what keeps runs from being taken, but may change."""

    obstacles: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


async def preflight(client: AsyncClient, api_url: str, options: Options) -> Preflight:
    """Look once at the key, the pools and the queues."""
    found = Preflight()
    try:
        async with asyncio.timeout(PATIENCE):
            await client.send(admin.read_version())
            for pool in options.pools or (DEFAULT_POOL,):
                await _look_at_pool(client, pool, options, found)
    except NotAuthorized as error:
        hint = f" {error.hint}" if error.hint else ""
        found.obstacles.append(f"The server at {api_url} refuses this agent: {error}{hint}")
    except (APIError, TimeoutError):
        pass  # the polls will tell, and go on asking
    return found


async def _look_at_pool(client: AsyncClient, pool: str, options: Options, found: Preflight) -> None:
    try:
        known = await client.send(work_pools.read_work_pool(pool))
    except NotFound as error:
        found.obstacles.append(f"{error.message} See: penstock work-pool ls")
        return
    if known.is_paused:
        found.remarks.append(f"Work pool {pool} is paused. To go on: penstock work-pool resume '{pool}'")
    if options.work_queues or options.prefixes:
        queues = await client.send(work_queues.read_work_queues(work_pool=pool, limit=200))
        names = [queue.name for queue in queues]
        where = "" if pool == DEFAULT_POOL else f" in work pool {pool}"
        if len(names) < 200:  # else the list may not hold all of them
            for text in options.prefixes:
                if not any(matches(name, text) for name in names):
                    found.remarks.append(f"No queue{where} fits {text} yet; those made later are served as well")
            for name in options.work_queues:
                if name not in names:
                    found.remarks.append(f"There was no queue {name}{where}; it is made now")
