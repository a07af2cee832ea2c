"""The loop of a service: it outlives failures and stops at once."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.database.connection import Database
from penstock.server.services.base import JITTER, LONGEST_BACK_OFF, Service, pause_after


class Fragile(Service):
    """Fails on its first ticks; after the others it says so."""

    name = "fragile"

    def __init__(self, database: Database, interval: float, failures: int = 0) -> None:
        super().__init__(database, interval)
        self.left, self.succeeded = failures, asyncio.Event()

    async def tick(self) -> None:
        if self.left:
            self.left -= 1
            raise RuntimeError("not yet")
        self.succeeded.set()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.close()
    return database


def test_it_goes_on_after_failures_and_counts_them(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        service = Fragile(database, 0.001, failures=3)
        await service.start()
        await asyncio.wait_for(service.succeeded.wait(), 30)
        await service.stop()
        assert service.failures == 3
        assert isinstance(service.last_error, RuntimeError)
        assert service.ticks >= 3

    asyncio.run(story())
    assert "fragile failed (3 in a row)" in caplog.text


def test_it_stops_without_waiting_for_its_interval(database: Database) -> None:
    async def story() -> None:
        service = Fragile(database, 3600)
        await service.start()
        await service.start()
        await asyncio.wait_for(service.succeeded.wait(), 30)
        await asyncio.wait_for(service.stop(), 30)
        await service.stop()

    asyncio.run(story())


@given(st.floats(0.01, 600), st.integers(0, 100), st.floats(0, 1))
def test_pauses_grow_with_failures_and_stay_bounded(interval: float, failures: int, spread: float) -> None:
    pause = pause_after(interval, failures, spread)
    assert interval * (1 - JITTER) <= pause <= max(interval, LONGEST_BACK_OFF) * (1 + JITTER)
    assert pause <= pause_after(interval, failures + 1, spread)
