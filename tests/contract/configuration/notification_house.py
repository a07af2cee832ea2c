"""A server whose notification policies are watched, and what a test does with it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from message_services import Service
from wire import Api

from penstock import clock
from penstock.blocks.base import Block
from penstock.blocks.notifications import SlackWebhook
from penstock.model.notifications import DeliveryStatus
from penstock.server.database.connection import Database
from penstock.server.database.tables import notification_delivery as delivery
from penstock.testing import TestServer, server, wait_until
from penstock.testing.ports import HeldPort

ROOT = "/flow_run_notification_policies/"
SECRET = "T0P-s3cr3t-of-the-hook"
#: A server that has little patience, so that a test need not have any; but what it is sending stays its own.
HASTY = {
    "PENSTOCK_NOTIFICATIONS_RETRY_SECONDS": "0.2",
    "PENSTOCK_NOTIFICATIONS_LEASE_SECONDS": "300",
    "PENSTOCK_NOTIFICATIONS_LIMIT": "100",
    "PENSTOCK_UI_URL": "https://flows.example.com",
}


class House:
    """A server, and what a test does with it."""

    def __init__(self, running: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self._monkeypatch = running, monkeypatch
        self.api = Api(running.api_url)

    def restart(self) -> None:
        """The server, on the same port and data."""
        self.server.restart()
        self.close()
        self.api = Api(self.server.api_url, self.api.headers)

    def end_leases(self) -> None:
        """Of what the server, on SQLite, was sending when it was killed: the next one need not wait for that."""
        over = sa.update(delivery).where(delivery.c.status == DeliveryStatus.SENDING).values(due_at=clock.now())
        with contextlib.closing(Database(f"sqlite:///{self.server.home / 'penstock.db'}")) as database:
            database.submit_write(lambda tx: tx.execute(over).rowcount).result(60)

    def close(self) -> None:
        with self.api:
            pass

    def policy(self, block: Block, **fields: Any) -> dict[str, Any]:
        """A policy that tells through the block, of Failed unless something else is said."""
        self._monkeypatch.setenv("PENSTOCK_API_URL", self.server.api_url)
        given = {"state_names": ["Failed"], "tags": [], "block_document_id": str(block.save(f"b-{uuid4()}")), **fields}
        answer = self.api.post(ROOT, given)
        assert answer.status == 201, answer
        made: dict[str, Any] = answer.body
        return made

    def fail(self, kind: str = "FAILED", **fields: Any) -> str:
        """A run that ends so; its id."""
        run = self.api.run("RUNNING", **fields)
        assert self.api.propose(run["id"], kind, message="ValueError: no orders").body["status"] == "ACCEPT"
        return str(run["id"])

    def deliveries(self, policy: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.get(f"{ROOT}{policy['id']}/deliveries?limit=200").body
        return found

    def delivery(self, policy: dict[str, Any]) -> dict[str, Any]:
        (found,) = self.deliveries(policy)
        return found

    def settled(self, policy: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
        """The deliveries, once there are so many and none is under way or waits."""

        def over() -> bool:
            found = self.deliveries(policy)
            return len(found) >= count and all(one["status"] in ("Sent", "Failed") for one in found)

        wait_until(over, 120, "not every message was settled")
        return self.deliveries(policy)

    def notifiers(self) -> list[int]:
        """The processes of this server that send messages."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == self.server.pid and b"penstock.notifier" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
        return found


def lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@contextlib.contextmanager
def a_house(monkeypatch: pytest.MonkeyPatch, env: dict[str, str] | None = None, **options: Any) -> Iterator[House]:
    """A server of the test's own, hasty but for `env`."""
    with server(env={**HASTY, **(env or {})}, **options) as running:
        house = House(running, monkeypatch)
        try:
            yield house
        finally:
            house.close()


def slack(service: Service) -> SlackWebhook:
    return SlackWebhook(url=f"{service.url}/services/{SECRET}")


def texts(service: Service) -> list[str]:
    return [arrived.json["text"] for arrived in list(service.arrived)]


@contextlib.contextmanager
def deserted_port() -> Iterator[int]:
    """A port that refuses connections, and that nobody else is given; who names it may listen there in the end."""
    held = HeldPort()
    try:
        yield held.take("127.0.0.1")
    finally:
        held.release()
