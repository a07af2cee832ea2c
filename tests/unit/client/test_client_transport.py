"""What the transport does when the other side, or the road to it, misbehaves. Real sockets on both sides."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from client_scripted_server import Act, ScriptedServer

from penstock import __version__, clock
from penstock.client.call import Call, any_json, json_object
from penstock.client.connections import Connections
from penstock.client.sync import SyncClient
from penstock.client.transport import Interrupted, Refusal, Ticket, Transport
from penstock.errors import (
    APIError,
    ConfigurationError,
    Conflict,
    Invalid,
    NotAuthorized,
    NotFound,
    Refused,
    Unreachable,
)
from penstock.testing import wait_until

ASK = Call("GET", "/thing", any_json)
MAKE = Call("POST", "/things", any_json, body={"a": 1}, repeatable=False)
REPEATABLE = Call("POST", "/things", any_json, body={"a": 1})


def transport(server: ScriptedServer, **options: object) -> Transport:
    options = {"max_retries": 3, "retry_seconds": 0.01, "timeout": 60.0, **options}
    return Transport(server.api_url, **options)  # type: ignore[arg-type]


def test_an_answer_is_returned_and_the_request_says_who_asks(scripted: ScriptedServer) -> None:
    attempt = uuid4()
    speaker = transport(scripted, key="secret", attempt=(attempt, "token"))
    scripted.then(Act(body={"x": 1}))
    assert speaker.send(Call("POST", "/a/b", json_object, body={"n": "ü"}, query={"q": "1 2"})) == {"x": 1}
    asked = scripted.asked[0]
    assert (asked.method, asked.target, asked.json) == ("POST", "/api/a/b?q=1+2", {"n": "ü"})
    assert asked.headers["authorization"] == "Bearer secret"
    assert asked.headers["x-penstock-attempt"] == f"{attempt}:token"
    assert asked.headers["user-agent"] == f"penstock/{__version__}"
    assert asked.headers["x-prefect-api-version"] == "0.8.4"
    assert asked.headers["x-request-id"]
    speaker.close()


def test_one_connection_serves_request_after_request(scripted: ScriptedServer) -> None:
    speaker = transport(scripted)
    for _ in range(5):
        assert speaker.send(ASK) is True
    assert {asked.connection for asked in scripted.asked} == {1}
    speaker.close()


def test_threads_share_a_transport_and_each_has_its_own_connection(scripted: ScriptedServer) -> None:
    speaker = transport(scripted)
    answers: list[object] = []

    def ask() -> None:
        answers.extend(speaker.send(ASK) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 160
    assert len({asked.connection for asked in scripted.asked}) <= 8
    speaker.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_repeatable_request_is_repeated_after(scripted: ScriptedServer, status: int) -> None:
    speaker = transport(scripted)
    scripted.then(Act(status), Act(status), Act(body="done"))
    assert speaker.send(REPEATABLE) == "done"
    assert len(scripted.asked) == 3
    assert len({asked.headers["x-request-id"] for asked in scripted.asked}) == 1
    speaker.close()


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_request_that_may_have_been_acted_on_is_not_repeated_after(scripted: ScriptedServer, status: int) -> None:
    speaker = transport(scripted)
    scripted.then(Act(status, {"message": "oops", "code": "internal", "hint": None}))
    with pytest.raises(Unreachable, match="oops") as caught:
        speaker.send(MAKE)
    assert (caught.value.status, caught.value.code, len(scripted.asked)) == (status, "internal", 1)
    speaker.close()


@pytest.mark.parametrize("status", [429, 503])
def test_even_what_is_not_repeatable_is_repeated_when_the_server_says_not_now(
    scripted: ScriptedServer, status: int
) -> None:
    speaker = transport(scripted)
    scripted.then(Act(status), Act(body="done"))
    assert speaker.send(MAKE) == "done"
    speaker.close()


def test_tries_end_after_the_retries_that_are_set(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, max_retries=2)
    scripted.then(*[Act(503, {"message": "too busy"})] * 9)
    with pytest.raises(Unreachable, match="too busy") as caught:
        speaker.send(ASK)
    assert (caught.value.status, len(scripted.asked)) == (503, 3)
    speaker.close()


def test_no_retries_means_one_try(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, max_retries=0)
    scripted.then(Act(503))
    with pytest.raises(Unreachable):
        speaker.send(ASK)
    assert len(scripted.asked) == 1
    speaker.close()


def test_retry_after_is_obeyed(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, retry_seconds=30.0)
    scripted.then(Act(503, headers={"Retry-After": "1"}))
    started = clock.monotonic()
    assert speaker.send(ASK) is True
    assert clock.monotonic() - started >= 1.0
    speaker.close()


def test_retry_after_is_capped_by_the_longest_wait(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, retry_seconds=0.01)
    scripted.then(Act(429, headers={"Retry-After": "86400"}))
    assert speaker.send(ASK) is True
    speaker.close()


def test_a_deadline_ends_the_tries(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, max_retries=1000, retry_seconds=30.0)
    scripted.then(*[Act(503, {"message": "no"}, headers={"Retry-After": "20"})] * 3)
    with pytest.raises(Unreachable, match="no"):
        speaker.send(ASK, deadline=clock.monotonic() + 5)
    assert len(scripted.asked) == 1
    speaker.close()


def test_a_deadline_bounds_a_try_that_is_not_answered(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, timeout=60.0)
    scripted.then(Act(answer=False, end="hang"))
    with pytest.raises(Unreachable, match="no answer in time"):
        speaker.send(ASK, deadline=clock.monotonic() + 0.1)
    speaker.close()


def test_a_request_without_an_answer_times_out_and_is_repeated(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, timeout=0.1, max_retries=100)
    scripted.then(Act(answer=False, end="hang"), *[Act(body="done")] * 100)  # a busy machine may be late again
    assert speaker.send(ASK) == "done"
    assert len(scripted.asked) >= 2
    speaker.close()


def test_a_long_poll_is_given_its_patience(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, timeout=0.05, max_retries=0)
    scripted.then(Act(answer=False, end="hang"))
    timer = threading.Timer(0.3, scripted.closing.set)  # then it hangs up
    timer.start()
    with pytest.raises(Unreachable) as caught:
        speaker.send(Call("GET", "/poll", any_json, patience=120))
    timer.join()
    assert not isinstance(caught.value.__cause__, TimeoutError)
    speaker.close()


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_lost_answer_is_asked_for_again_only_if_that_does_no_harm(scripted: ScriptedServer, end: str) -> None:
    speaker = transport(scripted)
    scripted.then(Act(answer=False, end=end), Act(body="done"))
    assert speaker.send(REPEATABLE) == "done"
    scripted.then(Act(answer=False, end=end))
    speaker.close()
    speaker = transport(scripted)
    before = len(scripted.asked)
    with pytest.raises(Unreachable, match="may have been acted on"):
        speaker.send(MAKE)
    assert len(scripted.asked) == before + 1
    speaker.close()


def test_a_connection_that_the_server_closed_while_idle_costs_no_retry(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, max_retries=0)
    for _ in range(5):
        scripted.then(Act(end="close"))  # a proper answer, and then the server hangs up without having said so
        assert speaker.send(MAKE) is True
        wait_for_close(speaker)
    assert len(scripted.asked) == 5
    speaker.close()


def test_a_connection_that_dies_under_a_reused_request_is_replaced_at_once(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, max_retries=0)
    scripted.then(Act(), Act(answer=False, end="close"), Act(body="done"))
    assert speaker.send(ASK) is True
    assert speaker.send(ASK) == "done"
    assert [asked.connection for asked in scripted.asked] == [1, 1, 2]
    speaker.close()


def test_nothing_that_is_not_repeatable_is_sent_twice_on_a_dying_connection(scripted: ScriptedServer) -> None:
    speaker = transport(scripted)
    scripted.then(Act(), Act(answer=False, end="close"))
    assert speaker.send(ASK) is True
    with pytest.raises(Unreachable, match="may have been acted on"):
        speaker.send(MAKE)
    assert len(scripted.asked) == 2
    speaker.close()


def test_a_refused_connection_is_told_apart_and_says_what_to_do() -> None:
    with socket.socket() as taken:  # so that nobody else listens there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        speaker = Transport(f"http://127.0.0.1:{port}/api", max_retries=2, retry_seconds=0.01)
        with pytest.raises(Refusal, match=f"127.0.0.1:{port}.*3 tries") as caught:
            speaker.send(MAKE)
    assert caught.value.hint is not None
    assert "penstock server start" in caught.value.hint
    speaker.close()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"message": "m", "code": "key_wanted", "hint": "h"}, NotAuthorized),
        (403, {"detail": "m"}, NotAuthorized),
        (403, {"message": "m", "code": "not_authorized"}, NotAuthorized),
        (403, {"message": "m", "code": "reserved_name"}, Refused),
        (404, {"detail": "m"}, NotFound),
        (409, {"message": "m", "code": "attempt_superseded", "hint": "h"}, Conflict),
        (409, {"message": "m", "code": "refused"}, Refused),
        (422, {"message": "m", "code": "invalid"}, Invalid),
        (422, {"exception_message": "m", "exception_detail": []}, Invalid),
        (400, {"message": "m"}, Invalid),
        (418, {"message": "m"}, APIError),
    ],
)
def test_an_error_carries_the_servers_words(
    scripted: ScriptedServer, status: int, body: dict[str, str], kind: type[APIError]
) -> None:
    speaker = transport(scripted)
    scripted.then(Act(status, body))
    with pytest.raises(kind, match=r"^m$") as caught:
        speaker.send(ASK)
    assert type(caught.value) is kind
    assert caught.value.code == body.get("code", kind.code)
    assert (caught.value.hint, caught.value.status) == (body.get("hint"), status)
    assert len(scripted.asked) == 1
    speaker.close()


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"[1, 2]", b"\xff\xfe"])
def test_an_answer_of_something_else_is_still_a_readable_error(scripted: ScriptedServer, body: bytes) -> None:
    speaker = transport(scripted)
    head = f"HTTP/1.1 404 Nope\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    scripted.then(Act(raw=head + body))
    with pytest.raises(NotFound, match=r"GET http://127.0.0.1:.*/api/thing was answered with 404 Not Found"):
        speaker.send(ASK)
    speaker.close()


def test_an_answer_that_is_no_json_says_which_address_was_wrong(scripted: ScriptedServer) -> None:
    speaker = transport(scripted)
    scripted.then(Act(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
    with pytest.raises(APIError, match="cannot be understood") as caught:
        speaker.send(ASK)
    assert caught.value.hint is not None
    assert "/api" in caught.value.hint
    speaker.close()


def test_what_is_no_http_is_unreachable(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, max_retries=1)
    scripted.then(Act(raw=b"SSH-2.0-x\r\n", end="close"), Act(raw=b"SSH-2.0-x\r\n", end="close"))
    with pytest.raises(Unreachable, match="SSH-2"):
        speaker.send(ASK)
    speaker.close()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:4200/api", "ftp://x/api", "http:///api", "http://x:port/api", "http://[::1/"]
)
def test_an_address_that_cannot_work_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Transport(url)


def test_an_ipv6_address_needs_no_port() -> None:
    connection, _ = Connections("https://[::1]/api").take()
    assert (connection.host, connection.port) == ("::1", 443)


def test_a_waiting_request_can_be_given_up_from_outside(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, timeout=60.0, max_retries=100)
    scripted.then(Act(answer=False, end="hang"))
    ticket = Ticket()
    with giving_up_once_asked(ticket, scripted), pytest.raises(Interrupted):
        speaker.send(ASK, ticket=ticket)
    assert len(scripted.asked) == 1
    assert speaker.send(ASK) is True  # and the transport lives on
    speaker.close()


def test_a_wait_for_the_next_try_can_be_given_up_from_outside(scripted: ScriptedServer) -> None:
    speaker = transport(scripted, retry_seconds=3600.0)
    scripted.then(Act(503, headers={"Retry-After": "3600"}))
    ticket = Ticket()
    with giving_up_once_asked(ticket, scripted), pytest.raises(Interrupted):
        speaker.send(ASK, ticket=ticket)
    speaker.close()


def test_raw_requests_and_methods_by_name_go_the_same_way(scripted: ScriptedServer) -> None:
    scripted.then(Act(body=[]), Act(204), Act(body=True))
    with SyncClient(scripted.api_url) as client:
        assert client.request("POST", "flow_runs/filter", {"limit": 1}) == []
        assert client.request("DELETE", "/flow_runs/1") is None
        assert client.read_health() is True
        with pytest.raises(AttributeError, match="Did you mean 'read_health'"):
            client.read_helth()
    assert [asked.target for asked in scripted.asked] == ["/api/flow_runs/filter", "/api/flow_runs/1", "/api/health"]


def test_a_forked_child_leaves_its_parents_connections_alone(scripted: ScriptedServer) -> None:
    program = (
        "import os, sys; from penstock.client.sync import SyncClient\n"
        "client = SyncClient(sys.argv[1])\n"
        "assert client.read_health()\n"
        "child = os.fork()\n"
        "assert client.read_health()\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", program, scripted.api_url], check=True)
    assert sorted(asked.connection for asked in scripted.asked) == [1, 1, 2]


@contextlib.contextmanager
def giving_up_once_asked(ticket: Ticket, server: ScriptedServer) -> Iterator[None]:
    """In the body, the request of that ticket is given up a moment after it has come to the server."""

    def give_up() -> None:
        wait_until(lambda: server.asked, 60)
        time.sleep(0.1)
        ticket.give_up()

    other = threading.Thread(target=give_up)
    other.start()
    try:
        yield
    finally:
        other.join()


def wait_for_close(speaker: Transport) -> None:
    """Return when the server's hanging up has arrived at the idle connection."""
    from penstock.client.connections import _is_usable

    idle = speaker._connections._idle
    wait_until(lambda: not idle or not _is_usable(idle[0]), message="the idle connection is closed")
