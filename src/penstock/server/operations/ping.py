import sqlalchemy as sa

from penstock.server.database.connection import Transaction


def ping(tx: Transaction) -> None:
    """Raise if the database does not answer."""
    tx.execute(sa.select(1))
