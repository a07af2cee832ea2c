from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from penstock.errors import ConfigurationError
from penstock.server.database import migrate
from penstock.server.database.connection import Database
from penstock.server.database.tables import metadata


def _shape(url: str) -> dict[str, object]:
    """What the database itself says of its tables, without the order in which it says it."""
    database = Database(url)
    try:
        inspector = sa.inspect(database.engine)
        found: dict[str, object] = {}
        for table in sorted(inspector.get_table_names()):
            columns = {c["name"]: (str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)}
            indexes = {
                i["name"]: (
                    tuple(i["column_names"]),
                    bool(i["unique"]),
                    sorted(f"{k}={v}" for k, v in i.get("dialect_options", {}).items()),
                )
                for i in inspector.get_indexes(table)
            }
            unique = {(u["name"], tuple(u["column_names"])) for u in inspector.get_unique_constraints(table)}
            foreign = {
                (tuple(f["constrained_columns"]), f["referred_table"], str(sorted(f["options"].items())))
                for f in inspector.get_foreign_keys(table)
            }
            found[table] = (
                columns,
                indexes,
                unique,
                foreign,
                tuple(inspector.get_pk_constraint(table)["constrained_columns"]),
            )
        return found
    finally:
        database.close()


def _step(url: str, direction: str, revision: str) -> None:
    """One way through Alembic itself, whatever the shortcut for fresh databases does."""
    with migrate.opened(url) as connection:
        migrate.run_alembic(connection, direction, revision)


def test_the_migrations_build_exactly_the_tables(database_url: str) -> None:
    migrate.prepare(database_url)
    _step(database_url, "upgrade", "head")
    by_migrations = _shape(database_url)
    _step(database_url, "downgrade", "base")
    migrate.upgrade(database_url)
    assert by_migrations == _shape(database_url)


def test_alembic_finds_nothing_to_change_at_head(database_url: str) -> None:
    migrate.prepare(database_url)
    _step(database_url, "upgrade", "head")
    with migrate.opened(database_url) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_up_down_and_up_again(database_url: str) -> None:
    assert migrate.upgrade(database_url) == migrate.HEAD
    assert migrate.downgrade(database_url) == "base"
    assert set(_shape(database_url)) <= {"alembic_version"}
    assert migrate.upgrade(database_url) == migrate.HEAD
    assert migrate.upgrade(database_url) == migrate.HEAD


def test_reset_throws_rows_away(database_url: str) -> None:
    migrate.upgrade(database_url)
    with migrate.opened(database_url) as connection:
        connection.execute(sa.insert(metadata.tables["counter"]).values(name="x", value=1))
    assert migrate.reset(database_url) == migrate.HEAD
    with migrate.opened(database_url) as connection:
        assert connection.execute(sa.select(metadata.tables["counter"])).all() == []


def test_a_database_of_another_program_is_left_alone(database_url: str) -> None:
    migrate.prepare(database_url)
    with migrate.opened(database_url) as connection:
        connection.execute(sa.text("CREATE TABLE flow (id INTEGER)"))
    with pytest.raises(ConfigurationError) as error:
        migrate.upgrade(database_url)
    assert error.value.code == "foreign_database"


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]
