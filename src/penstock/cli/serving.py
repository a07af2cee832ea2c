"""Which agents serve a queue, told before somebody waits for a run that nobody takes."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from penstock.cli.connection import Connection
from penstock.model import queue_names

#: As in `penstock.model.work_pools`, whose import would cost more than all else in a listing; a test compares.
DEFAULT_POOL = "default-agent-pool"


def serves(agent: Mapping[str, Any], pool: str | None, queue: str) -> bool:
    """Whether `agent` is there and takes runs from `queue` of `pool` (None: the pool of agents)."""
    if not agent.get("online") or agent.get("draining"):
        return False
    pools = agent.get("work_pools") or [agent.get("work_pool") or DEFAULT_POOL]
    names, matching = agent.get("work_queues") or [], agent.get("work_queue_prefixes") or []
    return queue_names.serves((pool or DEFAULT_POOL, queue), pools, names, matching)


def agents_of(connection: Connection, pool: str | None, queue: str) -> list[dict[str, Any]]:
    """The agents that serve the queue now."""
    from penstock.client import agents

    return [agent for agent in connection.rows(agents.read_agents(limit=200)) if serves(agent, pool, queue)]


def start_command(pool: str | None, queue: str | None = None) -> str:
    """The command that starts an agent for the queue, or for all queues of the pool."""
    words = ["penstock", "agent", "start"]
    if pool and pool != DEFAULT_POOL:
        words += ["-p", pool]
    return shlex.join([*words, "-q", queue] if queue is not None else words)


def names(agents: Iterable[Mapping[str, Any]]) -> str:
    """The agents' names for a message."""
    return ", ".join(sorted({str(agent.get("name")) for agent in agents}))
