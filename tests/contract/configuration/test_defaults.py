"""What a server has from its first start."""

import asyncio

import sqlalchemy as sa

from penstock.model.block_types import BlockTypeUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Database
from penstock.server.operations.clear_database import clear_database
from penstock.server.operations.install_defaults import install_defaults
from penstock.server.operations.read_block_types import read_block_type_by_slug
from penstock.server.operations.read_work_pools import read_work_pool
from penstock.server.operations.update_block_type import update_block_type


def test_starting_again_changes_nothing(database: Database):
    async def start_twice() -> None:
        await database.write(install_defaults)
        first = await database.read(lambda tx: tx.execute(sa.select(t.block_type)).all())
        pool = await database.read(read_work_pool, "default-agent-pool")
        await database.write(install_defaults)
        assert await database.read(lambda tx: tx.execute(sa.select(t.block_type)).all()) == first
        assert await database.read(read_work_pool, "default-agent-pool") == pool

    asyncio.run(start_twice())


def test_a_new_version_describes_its_types_anew(database: Database):
    async def change() -> None:
        await database.write(install_defaults)
        process = await database.read(read_block_type_by_slug, "process")
        await database.write(update_block_type, process.id, BlockTypeUpdate(description="older words"))
        await database.write(install_defaults)
        again = await database.read(read_block_type_by_slug, "process")
        assert (again.id, again.description) == (process.id, process.description)

    asyncio.run(change())


def test_an_emptied_database_has_them_again(database: Database):
    async def clear() -> None:
        await database.write(install_defaults)
        await database.write(clear_database)
        assert (await database.read(read_work_pool, "default-agent-pool")).default_queue_id is not None
        assert (await database.read(read_block_type_by_slug, "secret")).is_protected

    asyncio.run(clear())


def test_two_servers_that_start_at_once_make_one_of_each(database: Database):
    async def start_together() -> None:
        await asyncio.gather(*(database.write(install_defaults) for _ in range(6)))
        pools = await database.read(lambda tx: tx.execute(sa.select(t.work_pool.c.name)).scalars().all())
        queues = await database.read(lambda tx: tx.execute(sa.select(t.work_queue.c.name)).scalars().all())
        schemas = await database.read(lambda tx: tx.execute(sa.select(t.block_schema.c.checksum)).scalars().all())
        assert (pools, queues) == (["default-agent-pool"], ["default"])
        assert len(schemas) == len(set(schemas))

    asyncio.run(start_together())
