"""States of runs that are told: real servers, the process that sends, and services on sockets that fail in every way."""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from message_services import MailServer, Service, http_service, mail_service
from postgresql import Cluster
from wire import Api

from penstock.blocks.base import Block
from penstock.blocks.notifications import (
    CustomWebhookNotificationBlock,
    MattermostWebhook,
    MicrosoftTeamsWebhook,
    SlackWebhook,
    SmtpEmail,
)
from penstock.testing import TestServer, server, wait_until

ROOT = "/flow_run_notification_policies/"
SECRET = "T0P-s3cr3t-of-the-hook"
#: A server that has little patience, so that a test need not have any.
HASTY = {
    "PENSTOCK_NOTIFICATIONS_RETRY_SECONDS": "0.2",
    "PENSTOCK_NOTIFICATIONS_LEASE_SECONDS": "1.5",
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

        wait_until(over, 30, "not every message was settled")
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


@pytest.fixture
def service() -> Iterator[Service]:
    with http_service() as told:
        yield told


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with mail_service() as found:
        yield found


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with a_house(monkeypatch) as found:
        yield found


def slack(service: Service) -> SlackWebhook:
    return SlackWebhook(url=f"{service.url}/services/{SECRET}")


def texts(service: Service) -> list[str]:
    return [arrived.json["text"] for arrived in list(service.arrived)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# -- what arrives -----------------------------------------------------------------------------------------------------


def test_a_failed_run_is_told_once_with_its_reason_its_last_lines_and_a_link(house: House, service: Service):
    policy = house.policy(slack(service))
    run = house.api.run("RUNNING", name="red-fox")
    lines = [
        {
            "flow_run_id": run["id"],
            "name": "n",
            "level": 40,
            "message": f"line {n}",
            "timestamp": f"2030-01-01T00:00:{n:02}Z",
        }
        for n in range(15)
    ]
    assert house.api.post("/logs/", lines).status == 201
    details = {"reason": "OutOfMemory", "hint": "Give it more memory."}
    house.api.propose(run["id"], "FAILED", message="killed", details=details)
    house.settled(policy)
    (text,) = texts(service)
    assert "/red-fox: Failed*\n" in text
    assert "killed\n\nReason: OutOfMemory. Give it more memory." in text
    assert "00:00:05 ERROR line 5\n" in text
    assert "line 4\n" not in text
    assert text.endswith(f"ERROR line 14\n\nhttps://flows.example.com/flow-runs/flow-run/{run['id']}")
    assert SECRET not in text


def test_every_kind_of_service_gets_the_message(house: House, service: Service, mail_server: MailServer):
    custom = CustomWebhookNotificationBlock(
        name="pager",
        url=f"{service.url}/custom",
        json_data={"say": "{{subject}}|{{body}}", "k": "{{k}}"},
        secrets={"k": SECRET},
    )
    mail = SmtpEmail(
        host="127.0.0.1",
        port=mail_server.server_address[1],
        security="none",
        sender_email="a@example.com",
        to_emails=["b@example.com"],
    )
    port = int(service.port)
    blocks = [
        slack(service),
        MicrosoftTeamsWebhook(url=f"{service.url}/teams"),
        MattermostWebhook(hostname="127.0.0.1", port=port, token="t", path="/chat/", channels=["ops"]),
        custom,
        mail,
    ]
    policies = [house.policy(block, message_template="{flow_run_name}: {flow_run_state_message}") for block in blocks]
    house.fail(name="red-fox")
    for policy in policies:
        assert house.settled(policy)[0]["status"] == "Sent", house.delivery(policy)
    said = "red-fox: ValueError: no orders"
    bodies = {arrived.path: arrived.body.decode() for arrived in service.arrived}
    assert set(bodies) == {f"/services/{SECRET}", "/teams", "/chat/hooks/t", "/custom"}
    assert all(said in body for body in bodies.values())
    assert said in mail_server.mails[0]
    assert "red-fox: Failed" in mail_server.mails[0]


def test_each_policy_tells_of_its_states_and_tags(house: House, service: Service):
    def told_at(path: str, **fields: Any) -> dict[str, Any]:
        return house.policy(SlackWebhook(url=f"{service.url}/{path}"), message_template="{flow_run_name}", **fields)

    policies = [
        told_at("failed"),
        told_at("prod", tags=["prod"], state_names=["Failed", "Crashed"]),
        told_at("crashed", state_names=["Crashed"]),
    ]
    house.fail(name="a", tags=["prod", "x"])
    house.fail(name="b", tags=["test"])
    house.fail("CRASHED", name="c", tags=["prod"])
    house.fail("COMPLETED", name="d", tags=["prod"])
    for policy, count in zip(policies, (2, 2, 1), strict=True):
        house.settled(policy, count)
    found: dict[str, set[str]] = {}
    for arrived in service.arrived:
        found.setdefault(arrived.path, set()).add(arrived.json["text"].rpartition("\n")[2])
    assert found == {"/failed": {"a", "b"}, "/prod": {"a", "c"}, "/crashed": {"c"}}


def test_a_test_message_arrives(house: House, service: Service):
    policy = house.policy(slack(service), is_active=False)
    sample = house.api.post(f"{ROOT}{policy['id']}/test").body
    (delivery,) = house.settled(policy)
    assert (delivery["id"], delivery["status"], delivery["flow_run_id"]) == (sample["delivery_id"], "Sent", None)
    assert sample["subject"] in texts(service)[0]


# -- services that fail -----------------------------------------------------------------------------------------------


def test_a_service_that_fails_is_tried_until_it_takes_the_message(house: House, service: Service):
    # each try asks four times
    service.answers = [(500, "out of order")] * 9
    policy = house.policy(slack(service))
    house.fail()
    wait_until(lambda: (house.deliveries(policy) or [{}])[0].get("error"), 20, "no try has failed")
    assert "out of order" in house.delivery(policy)["error"]
    (delivery,) = house.settled(policy)
    assert (delivery["status"], delivery["tries"], delivery["error"]) == ("Sent", 3, None)
    assert len(service.arrived) == 10


def test_a_message_that_nobody_takes_is_given_up_and_says_why_without_telling_a_secret(
    monkeypatch: pytest.MonkeyPatch, service: Service
):
    service.answers = [(403, f"the token {SECRET} was revoked")] * 10
    with a_house(monkeypatch, {"PENSTOCK_NOTIFICATIONS_TRIES": "2"}) as house:
        running = house.server
        refused = house.policy(SlackWebhook(url=f"{service.url}/{SECRET}"))
        custom = CustomWebhookNotificationBlock(
            name="x", url=f"{service.url}/y", json_data={"t": "{{token}}"}, secrets={"token": SECRET}
        )
        hidden = house.policy(custom)
        house.fail()
        for policy in (refused, hidden):
            (delivery,) = house.settled(policy)
            assert (delivery["status"], delivery["tries"]) == ("Failed", 2)
            assert "403" in delivery["error"]
            assert SECRET not in delivery["error"]
        nobody = house.policy(SlackWebhook(url=f"http://127.0.0.1:{free_port()}/{SECRET}"))
        house.fail()
        (delivery,) = house.settled(nobody)
        assert "Connection refused" in delivery["error"]
        assert SECRET not in delivery["error"]
        assert SECRET not in running.output


def test_a_service_that_wants_to_be_left_alone_for_long_is_left_alone(house: House, service: Service):
    service.answers, service.retry_after = [(429, "slow down")], "3000"
    policy = house.policy(slack(service))
    house.fail()
    wait_until(lambda: (house.deliveries(policy) or [{}])[0].get("error"), 20, "no try has failed")
    delivery = house.delivery(policy)
    assert delivery["status"] == "Waiting"
    assert delivery["next_try"] > delivery["last_try"]
    assert "slow down" in delivery["error"]
    assert len(service.arrived) == 1


def test_a_service_that_is_slow_holds_up_nobody_else(house: House, service: Service):
    service.open.clear()
    with http_service() as quick:
        slow, fast = house.policy(slack(service)), house.policy(slack(quick))
        house.fail()
        assert house.settled(fast)[0]["status"] == "Sent"
        assert house.delivery(slow)["status"] == "Sending"
        # well beyond its lease, which is renewed
        wait_until(lambda: len(service.arrived) == 1, 10)
        service.open.set()
        assert house.settled(slow)[0]["status"] == "Sent"
    assert len(service.arrived) == 1


def test_a_block_whose_references_mean_the_servers_machine_is_not_used_unless_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, service: Service
):
    block = SlackWebhook(url="${env:WHERE_TO}/x")
    for allowed, status in (("false", "Failed"), ("true", "Sent")):
        env = {
            "WHERE_TO": service.url,
            "PENSTOCK_NOTIFICATIONS_TRIES": "1",
            "PENSTOCK_NOTIFICATIONS_REFERENCES": allowed,
        }
        with a_house(monkeypatch, env) as house:
            policy = house.policy(block)
            house.fail()
            (delivery,) = house.settled(policy)
            assert delivery["status"] == status, delivery
            assert allowed == "true" or "PENSTOCK_NOTIFICATIONS_REFERENCES" in delivery["error"]


# -- processes that die -----------------------------------------------------------------------------------------------


def test_what_was_not_sent_when_the_server_died_is_sent_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    port = free_port()
    with a_house(monkeypatch, home=tmp_path) as house:
        running = house.server
        policy = house.policy(SlackWebhook(url=f"http://127.0.0.1:{port}/"))
        runs = {house.fail() for _ in range(5)}
        wait_until(house.notifiers, 20, "nothing was tried")
        (notifier,) = house.notifiers()
        running.kill()
        wait_until(lambda: not lives(notifier), 8, "what sends messages has outlived its server")
        with http_service(port) as service:
            house.restart()
            house.settled(policy, 5)
            told = [text.rpartition("/")[2] for text in texts(service)]
            assert sorted(told) == sorted(runs)


def test_a_message_that_was_being_sent_when_the_server_died_comes_at_most_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Service
):
    service.open.clear()
    with a_house(monkeypatch, home=tmp_path) as house:
        running = house.server
        policy = house.policy(slack(service))
        house.fail()
        wait_until(lambda: len(service.arrived) == 1, 20, "nothing was sent")
        (notifier,) = house.notifiers()
        running.kill()
        wait_until(lambda: not lives(notifier), 8, "what sends messages has outlived its server")
        service.open.set()
        house.restart()
        (delivery,) = house.settled(policy)
    assert (delivery["status"], delivery["tries"]) == ("Sent", 2)
    assert len(service.arrived) == 2


def test_a_server_that_is_stopped_lets_a_message_come_to_its_end_and_nothing_is_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Service
):
    service.open.clear()
    with a_house(monkeypatch, home=tmp_path) as house:
        running = house.server
        policy = house.policy(slack(service))
        house.fail()
        wait_until(lambda: len(service.arrived) == 1, 20, "nothing was sent")
        (notifier,) = house.notifiers()
        os.kill(running.pid, signal.SIGTERM)
        service.open.set()
        running.stop()
        assert not lives(notifier)
        house.restart()
        (delivery,) = house.settled(policy)
    assert (delivery["status"], delivery["tries"]) == ("Sent", 1)
    assert len(service.arrived) == 1


def test_when_what_sends_messages_is_killed_another_one_sends_them(house: House, service: Service):
    service.open.clear()
    policy = house.policy(slack(service))
    runs = {house.fail() for _ in range(3)}
    wait_until(lambda: len(service.arrived) == 3, 20, "nothing was sent")
    (notifier,) = house.notifiers()
    service.open.set()
    service.open.clear()
    os.kill(notifier, signal.SIGKILL)
    house.fail()
    service.open.set()
    found = house.settled(policy, 4)
    assert {delivery["status"] for delivery in found} == {"Sent"}
    told = [text.rpartition("/")[2] for text in texts(service)]
    assert runs < set(told)
    assert len(set(told)) == 4
    assert max(told.count(run) for run in told) <= 2


def test_there_is_no_process_without_a_message_and_it_leaves_when_it_is_idle(
    monkeypatch: pytest.MonkeyPatch, service: Service
):
    with a_house(monkeypatch, {"PENSTOCK_NOTIFICATIONS_IDLE_SECONDS": "0.3"}) as house:
        house.fail()
        policy = house.policy(slack(service), state_names=["Crashed"])
        house.fail()
        assert house.notifiers() == []
        house.fail("CRASHED")
        house.settled(policy)
        wait_until(lambda: not house.notifiers(), 10, "what sends messages did not leave")
        house.fail("CRASHED")
        house.settled(policy, 2)
    assert len(service.arrived) == 2


def test_what_sends_messages_has_no_secret_of_the_server_in_its_environment(
    monkeypatch: pytest.MonkeyPatch, service: Service
):
    service.open.clear()
    with a_house(monkeypatch, {"PENSTOCK_SERVER_API_KEY": "k3y-of-the-server"}) as house:
        house.api.headers["Authorization"] = "Bearer k3y-of-the-server"
        monkeypatch.setenv("PENSTOCK_API_KEY", "k3y-of-the-server")
        house.policy(slack(service))
        house.fail()
        wait_until(lambda: len(service.arrived) == 1, 20, "nothing was sent")
        (notifier,) = house.notifiers()
        for name in ("environ", "cmdline"):
            text = Path(f"/proc/{notifier}/{name}").read_bytes()
            assert b"k3y-of-the-server" not in text
            assert SECRET.encode() not in text
        service.open.set()


# -- too many ---------------------------------------------------------------------------------------------------------


def test_a_burst_of_failures_is_told_in_few_messages_and_none_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, service: Service
):
    env = {"PENSTOCK_NOTIFICATIONS_LIMIT": "3", "PENSTOCK_NOTIFICATIONS_LIMIT_SECONDS": "1"}
    with a_house(monkeypatch, env) as house:
        policy = house.policy(slack(service))
        flow_id = house.api.flow()
        for _ in range(200):
            house.api.run("FAILED", flow_id=flow_id)

        def all_told() -> bool:
            found = house.deliveries(policy)
            return sum(one["gathered"] + 1 for one in found if one["status"] == "Sent") == 200

        wait_until(all_told, 30, "not every failure was told")
        found = sorted(one["last_try"] for one in house.deliveries(policy))
    assert len(service.arrived) == len(found)
    # any four of them are more than a span apart
    from datetime import datetime

    moments = [datetime.fromisoformat(moment) for moment in found]
    assert all((later - first).total_seconds() >= 1 for first, later in zip(moments, moments[3:], strict=False))
    assert any("more" in text for text in texts(service))


def test_two_servers_on_one_database_send_each_message_once(
    postgresql: Cluster, monkeypatch: pytest.MonkeyPatch, service: Service
):
    url = postgresql.create_database()
    with a_house(monkeypatch, database_url=url) as one:
        keys = {"PENSTOCK_SERVER_KEY_FILE": str(one.server.home / "server.key")}
        with a_house(monkeypatch, keys, database_url=url) as two:
            policy = one.policy(slack(service))
            flow_id = one.api.flow()
            wait_until(lambda: two.fail(flow_id=flow_id) and one.deliveries(policy), 10, "it does not count elsewhere")
            runs = [house.api.run("FAILED", flow_id=flow_id)["id"] for _ in range(15) for house in (one, two)]
            one.settled(policy, 31)
            told = [text.rpartition("/")[2] for text in texts(service)]
    assert set(runs) < set(told)
    assert len(told) == len(set(told))


def test_the_process_ends_with_its_input_and_says_nothing_that_is_no_answer():
    import subprocess

    done = subprocess.run([sys.executable, "-m", "penstock.notifier"], input=b"", capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
