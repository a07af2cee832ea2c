import sqlalchemy as sa

from penstock.server.database import migrate
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import metadata


def clear_database(tx: Transaction) -> None:
    """Delete every row of every table."""
    for table in reversed(metadata.sorted_tables):
        tx.execute(sa.delete(table))


def drop_tables(tx: Transaction) -> None:
    """Drop every table and the mark of their version."""
    migrate.drop_all(tx.connection)


def create_tables(tx: Transaction) -> None:
    """Make the tables if there are none."""
    if migrate.current(tx.connection) is None:
        migrate.create_all(tx.connection)
