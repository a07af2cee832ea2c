"""Several servers on one database: who does the background work this time."""

import zlib

import sqlalchemy as sa

from penstock.server.database.connection import Transaction


def take_turn(tx: Transaction, name: str) -> bool:
    """Whether this transaction may do the work called `name`: False if another server is at it. Given back at its
    end."""
    if tx.dialect != "postgresql":
        return True
    key = zlib.crc32(f"penstock {name}".encode())
    return bool(tx.execute(sa.select(sa.func.pg_try_advisory_xact_lock(key))).scalar_one())
