"""States of runs that are told: real servers, the process that sends, and services on sockets that fail in every way."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from message_services import MailServer, Service, http_service, mail_service
from notification_house import ROOT, SECRET, House, a_house, deserted_port, slack, texts
from postgresql import Cluster

from penstock.blocks.notifications import (
    CustomWebhookNotificationBlock,
    MattermostWebhook,
    MicrosoftTeamsWebhook,
    SlackWebhook,
    SmtpEmail,
)
from penstock.testing import wait_until


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
    wait_until(lambda: (house.deliveries(policy) or [{}])[0].get("error"), message="no try has failed")
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
        with deserted_port() as port:
            nobody = house.policy(SlackWebhook(url=f"http://127.0.0.1:{port}/{SECRET}"))
            house.fail()
            (delivery,) = house.settled(nobody)
        assert "Connection refused" in delivery["error"]
        assert SECRET not in delivery["error"]
        assert SECRET not in running.output


def test_a_service_that_wants_to_be_left_alone_for_long_is_left_alone(house: House, service: Service):
    service.answers, service.retry_after = [(429, "slow down")], "3000"
    policy = house.policy(slack(service))
    house.fail()
    wait_until(lambda: (house.deliveries(policy) or [{}])[0].get("error"), message="no try has failed")
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
        wait_until(lambda: len(service.arrived) == 1)
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

        wait_until(all_told, 120, "not every failure was told")
        found = sorted(one["last_try"] for one in house.deliveries(policy))
    assert len(service.arrived) == len(found)
    # any four of them are more than a span apart
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
            wait_until(
                lambda: two.fail(flow_id=flow_id) and one.deliveries(policy), message="it does not count elsewhere"
            )
            runs = [house.api.run("FAILED", flow_id=flow_id)["id"] for _ in range(15) for house in (one, two)]
            one.settled(policy, 31)
            told = [text.rpartition("/")[2] for text in texts(service)]
    assert set(runs) < set(told)
    assert len(told) == len(set(told))
