"""Every test that asks for `database_url` runs on SQLite and on PostgreSQL; one that asks for `api` meets a real server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql import Cluster, cluster, find_binaries
from wire import Api

from penstock.server.database import migrate
from penstock.server.database.connection import Database
from penstock.testing import server

DIALECTS = ("sqlite", "postgresql")
#: Agents that a test plays are not lost in its midst, and a poll waits as long as it says: for a third of a lease at most.
PATIENT = {"PENSTOCK_AGENT_LEASE_SECONDS": "180"}


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL cluster. On a machine without PostgreSQL its tests are skipped; in CI that is a failure."""
    if find_binaries() is None:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail("PostgreSQL is not installed, and CI tests both databases")
        pytest.skip("PostgreSQL is not installed")
    with cluster() as running:
        yield running


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    running: Cluster = request.getfixturevalue("postgresql")
    return running.create_database()


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Database]:
    """A database with the newest schema, opened in this process."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    migrate.upgrade(database_url)
    opened = Database(database_url)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="session", params=DIALECTS)
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """A running server, shared by all tests on this database: each makes its own flows and runs."""
    running: Cluster | None = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    url = running.create_database() if running is not None else None
    with server(database_url=url, env=PATIENT) as started, Api(started.api_url) as client:
        yield client
