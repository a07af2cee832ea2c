import sqlalchemy as sa

from penstock.server.database import migrate
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import metadata
from penstock.server.operations.install_defaults import install_defaults


def clear_database(tx: Transaction) -> None:
    """Delete every row of every table; what a server has from its first start is there again."""
    for table in reversed(metadata.sorted_tables):
        tx.execute(sa.delete(table))
    install_defaults(tx)


def drop_tables(tx: Transaction) -> None:
    """Drop every table and the mark of their version."""
    migrate.drop_all(tx.connection)


def create_tables(tx: Transaction) -> None:
    """Make the tables, with what a server has from its first start, if there are none."""
    if migrate.current(tx.connection) is None:
        migrate.create_all(tx.connection)
        install_defaults(tx)
