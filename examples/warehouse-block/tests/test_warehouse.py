"""The type against a real server, which lives as long as this file's tests."""

import socket
from collections.abc import Iterator

import pytest
from pydantic import ValidationError
from warehouse_block import Warehouse

from penstock.testing import penstock_test_harness


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    with penstock_test_harness():
        yield


def test_a_saved_warehouse_is_loaded_with_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "hunter2")
    Warehouse(host="db", user="etl", password="${env:WAREHOUSE_PASSWORD}").save("nightly")
    assert Warehouse.load("nightly").url() == "postgresql://etl:hunter2@db:5432/"


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Warehouse(host="db", user="etl", password="hunter2"))


def test_a_mistyped_field_is_told_with_the_right_one() -> None:
    with pytest.raises(ValidationError, match="Did you mean 'port'"):
        Warehouse(host="db", user="etl", password="x", prot=1)


def test_data_of_version_1_is_understood() -> None:
    old = {"address": "db:6543", "user": "etl", "password": "x"}
    assert Warehouse._host_and_port(old) == {"host": "db", "port": 6543, "user": "etl", "password": "x"}


def test_the_check_tells_whether_something_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        there = Warehouse(host="127.0.0.1", port=port, user="etl", password="x")
        assert all(finding.ok for finding in there.check())
    assert [finding.tried for finding in there.check() if not finding.ok] == [f"connecting to 127.0.0.1:{port}"]
