"""Agents as the server last heard of them."""

import sqlalchemy as sa

from penstock.model.agents import Agent
from penstock.model.work_pools import DEFAULT_POOL
from penstock.server.database.attempts import OPEN
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import agent, attempt


def read_agents(tx: Transaction, limit: int, offset: int) -> list[Agent]:
    """Those heard of last come first."""
    holds = sa.select(sa.func.count()).where(attempt.c.agent_id == agent.c.id, OPEN).scalar_subquery()
    query = (
        sa.select(agent, holds.label("open_attempts"), (agent.c.lease_expires_at > tx.now).label("online"))
        .order_by(agent.c.last_polled.desc(), agent.c.id)
        .limit(limit)
        .offset(offset)
    )
    return [
        Agent.model_validate({**row._mapping, "work_pools": row.work_pools or [row.work_pool or DEFAULT_POOL]})
        for row in tx.execute(query)
    ]
