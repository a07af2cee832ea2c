"""Several servers on one database: who does the background work this time."""

import zlib

import sqlalchemy as sa

from penstock.server.database.connection import Transaction


def take_turn(tx: Transaction, name: str) -> bool:
    """Whether this transaction may do the work called `name`: False if another server is at it. Given back at its
    end."""
    if tx.dialect != "postgresql":
        return True
    return bool(tx.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_key(name)))).scalar_one())


def wait_for_turn(tx: Transaction, name: str) -> None:
    """Wait until no other transaction is at the work called `name`, and keep others from it until this one is over."""
    if tx.dialect == "postgresql":
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(name))))


def _key(name: str) -> int:
    return zlib.crc32(f"penstock {name}".encode())
