import sqlalchemy as sa

from penstock.model.work_pools import DEFAULT_POOL, WorkPoolCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.create_work_pool import create_work_pool
from penstock.server.operations.install_system_block_types import install_system_block_types

#: The advisory lock of this operation on PostgreSQL.
LOCK = 0x50454E01


def install_defaults(tx: Transaction) -> None:
    """What a server has from its first start: the default pool with its default queue, and the system's block types."""
    if tx.dialect == "postgresql":  # servers that start together go one after the other
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    if tx.execute(sa.select(t.work_pool.c.id).where(t.work_pool.c.name == DEFAULT_POOL)).one_or_none() is None:
        create_work_pool(tx, WorkPoolCreate(name=DEFAULT_POOL))
    install_system_block_types(tx)
