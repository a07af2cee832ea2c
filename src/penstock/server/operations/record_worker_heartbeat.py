from datetime import timedelta
from uuid import UUID, uuid5

import sqlalchemy as sa

from penstock.model.workers import WorkerHeartbeat
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.operations.ensure_work_queue import find_pool_id

#: Seconds between heartbeats of a worker that does not say.
DEFAULT_INTERVAL = 30
#: A worker that was silent for so many intervals is offline.
INTERVALS = 3


def worker_id(pool_id: UUID, name: str) -> UUID:
    """A worker is named within its pool; it has no id of its own."""
    return uuid5(pool_id, name)


def record_worker_heartbeat(tx: Transaction, pool_name: str, heartbeat: WorkerHeartbeat) -> None:
    """A worker of Prefect 2 says that it is there: it is listed beside the agents. Raises NotFound."""
    pool_id = find_pool_id(tx, pool_name)
    interval = heartbeat.heartbeat_interval_seconds or DEFAULT_INTERVAL
    seen = {
        "updated": tx.now,
        "last_polled": tx.now,
        "lease_expires_at": tx.now + timedelta(seconds=interval * INTERVALS),
    }
    values = {
        "id": worker_id(pool_id, heartbeat.name),
        "created": tx.now,
        "name": heartbeat.name,
        "work_pool": pool_name,
        "work_queues": [],
        "work_queue_prefixes": [],
        "capabilities": ["worker"],
        "reaches": [],
        "draining": False,
        **seen,
    }
    if not insert_if_absent(tx, t.agent, values):
        tx.execute(sa.update(t.agent).where(t.agent.c.id == values["id"]).values(seen))
