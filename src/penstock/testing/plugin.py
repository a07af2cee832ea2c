"""For pytest: the fixture `penstock_server`. Loaded by every pytest of an environment that has Penstock, so it loads nothing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from penstock.testing.servers import TestServer


@pytest.fixture
def penstock_server() -> "Iterator[TestServer]":
    """An empty server for this test alone; flows that the test calls run against it."""
    from penstock.testing.harness import penstock_test_harness

    with penstock_test_harness() as running:
        yield running
