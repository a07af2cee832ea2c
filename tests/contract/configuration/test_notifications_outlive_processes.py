"""Messages of policies whose server, or the process that sends them, dies or leaves while they are on their way."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from message_services import Service, http_service
from notification_house import SECRET, House, a_house, deserted_port, lives, slack, texts

from penstock.blocks.notifications import SlackWebhook
from penstock.testing import wait_until


@pytest.fixture
def service() -> Iterator[Service]:
    with http_service() as told:
        yield told


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with a_house(monkeypatch) as found:
        yield found


def test_what_was_not_sent_when_the_server_died_is_sent_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with deserted_port() as port, a_house(monkeypatch, home=tmp_path) as house:
        running = house.server
        policy = house.policy(SlackWebhook(url=f"http://127.0.0.1:{port}/"))
        runs = {house.fail() for _ in range(5)}
        (notifier,) = wait_until(house.notifiers, message="nothing was tried")
        running.kill()
        wait_until(lambda: not lives(notifier), message="what sends messages has outlived its server")
        house.end_leases()
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
        wait_until(lambda: len(service.arrived) == 1, message="nothing was sent")
        (notifier,) = house.notifiers()
        running.kill()
        wait_until(lambda: not lives(notifier), message="what sends messages has outlived its server")
        service.open.set()
        house.end_leases()
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
        wait_until(lambda: len(service.arrived) == 1, message="nothing was sent")
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
    wait_until(lambda: len(service.arrived) == 3, message="nothing was sent")
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
        wait_until(lambda: not house.notifiers(), message="what sends messages did not leave")
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
        wait_until(lambda: len(service.arrived) == 1, message="nothing was sent")
        (notifier,) = house.notifiers()
        for name in ("environ", "cmdline"):
            text = Path(f"/proc/{notifier}/{name}").read_bytes()
            assert b"k3y-of-the-server" not in text
            assert SECRET.encode() not in text
        service.open.set()


def test_the_process_ends_with_its_input_and_says_nothing_that_is_no_answer():
    done = subprocess.run([sys.executable, "-m", "penstock.notifier"], input=b"", capture_output=True, timeout=180)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
