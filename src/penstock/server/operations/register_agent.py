"""The server's record of an agent: who it is, what it asks for, until when its lease holds."""

from datetime import datetime

from penstock.model.attempts import AgentPoll
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.database.rows import clean
from penstock.server.database.statements import update_row
from penstock.server.database.tables import agent


def register_agent(tx: Transaction, poll: AgentPoll, lease_expires_at: datetime) -> None:
    """Write down the agent of a poll, new or again."""
    values = {
        "name": clean(poll.name),
        "host": clean(poll.host),
        "version": poll.version,
        "work_pool": poll.work_pools[0] if poll.work_pools else poll.work_pool,
        "work_pools": poll.work_pools,
        "work_queues": poll.work_queues,
        "work_queue_prefixes": poll.work_queue_prefixes,
        "capabilities": poll.capabilities,
        "away": {slug: clean(why) for slug, why in poll.away.items()},
        "reaches": poll.reaches,
        "limit": poll.limit,
        "ramp_up": poll.ramp_up,
        "draining": poll.draining,
        "last_polled": tx.now,
        "lease_expires_at": lease_expires_at,
        "updated": tx.now,
    }
    if not update_row(tx, agent, poll.agent_id, values):
        insert_if_absent(tx, agent, {"id": poll.agent_id, "created": tx.now, **values})
