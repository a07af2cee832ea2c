from penstock.errors import NotFound
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.ensure_work_queue import find_pool_id
from penstock.server.operations.record_worker_heartbeat import worker_id


def delete_worker(tx: Transaction, pool_name: str, name: str) -> None:
    """Forget a worker of Prefect 2; it is listed again with its next heartbeat. Raises NotFound."""
    found = t.agent.c.id == worker_id(find_pool_id(tx, pool_name), name)
    if tx.execute(t.agent.delete().where(found)).rowcount == 0:
        raise NotFound(f"Worker not found: {name!r} in work pool {pool_name!r}.")
