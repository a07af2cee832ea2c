"""Brings a database to the newest schema. Alembic is imported only when there is something to migrate."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from penstock import settings
from penstock.errors import ConfigurationError
from penstock.server.database.connection import Database
from penstock.server.database.tables import metadata

#: The newest revision in `migrations/versions`; a test compares the two.
HEAD = "0011"

_FOLDER = Path(__file__).parent / "migrations"
_VERSION = sa.table("alembic_version", sa.column("version_num", sa.String))
#: Any fixed number: servers that start at once on one PostgreSQL database take turns.
_LOCK = 7_136_041


def current(connection: sa.Connection) -> str | None:
    """The revision that the database is at; None if it has none. Raises ConfigurationError for tables of somebody else."""
    names = set(sa.inspect(connection).get_table_names())
    if "alembic_version" not in names:
        foreign = names & set(metadata.tables)
        if foreign:
            raise ConfigurationError(
                f"The database has tables ({', '.join(sorted(foreign)[:3])} …) but no version of ours: it belongs to another program",
                code="foreign_database",
                hint="Point PENSTOCK_API_DATABASE_CONNECTION_URL at a database of its own.",
            )
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()


def upgrade(url: str, revision: str = "head") -> str:
    """Bring the database at `url` up to `revision`; returns what it is at then. Several servers may do it at once."""
    prepare(url)
    with opened(url) as connection:
        at = current(connection)
        if at is None and revision in ("head", HEAD):
            create_all(connection)
        elif at != HEAD or revision not in ("head", HEAD):
            run_alembic(connection, "upgrade", revision)
        return current(connection) or "base"


def downgrade(url: str, revision: str = "base") -> str:
    """Take the database at `url` back to `revision`."""
    with opened(url) as connection:
        run_alembic(connection, "downgrade", revision)
        return current(connection) or "base"


def reset(url: str) -> str:
    """Throw everything away and build the newest schema."""
    prepare(url)
    with opened(url) as connection:
        drop_all(connection)
        create_all(connection)
        return HEAD


def drop_all(connection: sa.Connection) -> None:
    """Drop all of our tables and the mark of their version."""
    metadata.drop_all(connection)
    connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))


def prepare(url: str) -> None:
    """Make the folder of a SQLite file."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)


def create_all(connection: sa.Connection) -> None:
    metadata.create_all(connection)
    connection.execute(
        sa.text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    )
    connection.execute(sa.insert(_VERSION).values(version_num=HEAD))


@contextlib.contextmanager
def opened(url: str) -> Iterator[sa.Connection]:
    """One connection in one transaction that keeps every other migration out; what it did is kept if the block ends well."""
    database = Database(url, pool_size=1, readers=1)
    try:
        with database.engine.execution_options(penstock_write=True).connect() as connection, connection.begin():
            if not database.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection
    finally:
        database.close()


def run_alembic(connection: sa.Connection, direction: str, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    verb: Any = command.upgrade if direction == "upgrade" else command.downgrade
    verb(config, revision)


def main(arguments: list[str]) -> int:
    """``database upgrade|downgrade|reset|version [--revision R]``: prints the revision that the database is at."""
    parser = argparse.ArgumentParser(
        prog="python -m penstock.server database", description="Manage the server's database."
    )
    parser.add_argument("verb", choices=("upgrade", "downgrade", "reset", "version"))
    parser.add_argument("--revision", help="revision to go to (upgrade: head, downgrade: base)")
    options = parser.parse_args(arguments)
    url = settings.database_url()
    if options.verb == "upgrade":
        at = upgrade(url, options.revision or "head")
    elif options.verb == "downgrade":
        at = downgrade(url, options.revision or "base")
    elif options.verb == "reset":
        at = reset(url)
    else:
        prepare(url)
        with opened(url) as connection:
            at = current(connection) or "base"
    print(at)
    return 0
