"""Sends requests and gets their answers: tries again what may be tried again, and says plainly what went wrong."""

import http.client
import random
import threading
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from penstock import clock, settings
from penstock.client.answers import error_from
from penstock.client.call import Call, Upload, decode, encode
from penstock.client.connections import Connections, interrupt
from penstock.client.retries import parse_retry_after, wait_before, worth_repeating
from penstock.errors import APIError, Invalid, PenstockError, Unreachable
from penstock.version import __version__

__all__ = ["Call", "Interrupted", "Refusal", "Ticket", "Transport"]

T = TypeVar("T")

#: The version of Prefect 2's API that we speak.
API_VERSION = "0.8.4"
#: Seconds that a connection may take to come about.
CONNECT_SECONDS = 10.0
#: Not the generator that user code may have seeded.
_chance = random.Random().random
#: The shortest time in seconds that one try is given when a deadline is near.
LEAST_TRY = 0.05


class Refusal(Unreachable):
    """Nothing listens at the API's address: the machine answered, and said so."""


class Interrupted(PenstockError):
    """The request was given up by its own caller."""

    code = "interrupted"


class Ticket:
    """By this, another thread can give up a request that is under way: the waiting thread gets `Interrupted`."""

    def __init__(self) -> None:
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None

    @property
    def given_up(self) -> bool:
        return self._given_up.is_set()

    def give_up(self) -> None:
        with self._lock:
            self._given_up.set()
            if self._connection is not None:
                interrupt(self._connection)

    def sleep(self, seconds: float) -> None:
        if self._given_up.wait(seconds):
            raise Interrupted("The request was given up while it waited for its next try")

    def hold(self, connection: http.client.HTTPConnection | None) -> None:
        """Remember the connection that the request uses now; None when it uses none any more."""
        with self._lock:
            self._connection = connection


@dataclass(slots=True)
class _Outcome:
    """One try: an answer, or the connection's error and whether the server may have got the request."""

    status: int = 0
    raw: bytes = b""
    received: Any = None
    retry_after: str | None = None
    error: Exception | None = None
    sent: bool = False
    stale: bool = False


class Transport:
    """Connections to one API. Threads may share it.

    `attempt` is (id, token) of the attempt that speaks; `max_retries` and `retry_seconds` default to the settings; with
    `wait_for_listener` False, a refused connection is not tried again.
    """

    def __init__(
        self,
        api_url: str,
        *,
        key: str | None = None,
        attempt: tuple[UUID, str] | None = None,
        max_retries: int | None = None,
        retry_seconds: float | None = None,
        timeout: float | None = None,
        wait_for_listener: bool = True,
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self._connections = Connections(self.api_url)
        self._max_retries = settings.get("PENSTOCK_CLIENT_MAX_RETRIES") if max_retries is None else max_retries
        self._longest = settings.get("PENSTOCK_CLIENT_RETRY_SECONDS") if retry_seconds is None else retry_seconds
        self._timeout = settings.get("PENSTOCK_API_REQUEST_TIMEOUT") if timeout is None else timeout
        self._wait_for_listener = wait_for_listener
        self._headers = _headers(key, attempt)

    def send(self, call: Call[T], *, deadline: float | None = None, ticket: Ticket | None = None) -> T:
        """Send `call`, and again where that may help, until it is answered; no try starts after `deadline` (monotonic).

        Raises what `penstock.errors` has for the server's answer; Unreachable when there was none in time; Interrupted
        when `ticket` was given up.
        """
        outcome = self._exchange(call, deadline, ticket)
        if call.receive is not None:
            return cast(T, outcome.received)
        try:
            return decode(outcome.raw, call.answer())
        except ValueError as error:
            raise APIError(
                f"{call.method} {self.api_url}{call.target}: the answer cannot be understood: {error}",
                code="answer",
                hint="Is this the address of a Penstock server? Its path usually ends in /api.",
            ) from error

    def exchange(self, call: Call[T], *, deadline: float | None = None, ticket: Ticket | None = None) -> bytes:
        """As `send`, but the answer's body is returned as it came."""
        return self._exchange(call, deadline, ticket).raw

    def _exchange(self, call: Call[T], deadline: float | None, ticket: Ticket | None) -> _Outcome:
        ticket = ticket or Ticket()
        body = call.body if isinstance(call.body, Upload) else encode(call.body, partial=call.partial)
        headers = {**self._headers, "X-Request-ID": uuid4().hex}
        if isinstance(body, Upload):
            headers |= {"Content-Type": body.content_type, "Content-Length": str(body.size)}
        elif body is not None:
            headers["Content-Type"] = "application/json"
        retries = 0
        while True:
            outcome = self._try(call, body, headers, self._seconds_for(call, deadline), ticket)
            if ticket.given_up:
                raise Interrupted(f"{call.method} {call.path} was given up")
            if outcome.stale and (call.repeatable or not outcome.sent):
                # The server had closed the connection while nobody used it: no fault, and a fresh one tells at once.
                outcome = self._try(call, body, headers, self._seconds_for(call, deadline), ticket, fresh=True)
                if ticket.given_up:
                    raise Interrupted(f"{call.method} {call.path} was given up")
            if outcome.error is None and outcome.status < 300:
                return outcome
            retries += 1
            wait = self._wait(outcome, retries, deadline) if self._may_retry(outcome, call, retries) else None
            if wait is None:
                raise self._error(call, outcome, retries)
            ticket.sleep(wait)

    def close(self) -> None:
        self._connections.close()

    def _seconds_for(self, call: Call[T], deadline: float | None) -> float:
        seconds = self._timeout + call.patience
        if deadline is not None:
            seconds = min(seconds, max(LEAST_TRY, deadline - clock.monotonic()))
        return float(seconds)

    def _try(
        self,
        call: Call[T],
        body: bytes | Upload | None,
        headers: dict[str, str],
        seconds: float,
        ticket: Ticket,
        *,
        fresh: bool = False,
    ) -> _Outcome:
        connection, used_before = self._connections.take(fresh=fresh)
        outcome = _Outcome()
        ticket.hold(connection)
        try:
            if connection.sock is None:
                connection.timeout = min(seconds, CONNECT_SECONDS)
                connection.connect()
            connection.sock.settimeout(seconds)
            if ticket.given_up:
                connection.close()
                return outcome
            outcome.sent = True
            all_sent = self._send(connection, call, body, headers)
            response = connection.getresponse()
            outcome.status, outcome.retry_after = response.status, response.headers.get("Retry-After")
            if call.receive is not None and response.status < 300:
                outcome.received = call.receive(response)
            outcome.raw = response.read()
            if not all_sent:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            outcome.error = error
            outcome.stale = used_before and outcome.status == 0 and not isinstance(error, TimeoutError)
            ticket.hold(None)
            connection.close()
        except BaseException:
            ticket.hold(None)
            connection.close()
            raise
        else:
            ticket.hold(None)
            self._connections.give_back(connection)
        return outcome

    def _send(
        self,
        connection: http.client.HTTPConnection,
        call: Call[T],
        body: bytes | Upload | None,
        headers: dict[str, str],
    ) -> bool:
        """Send the request; False if the other side hung up before it had read all of an upload."""
        target = self._connections.prefix + call.target
        if not isinstance(body, Upload):
            connection.request(call.method, target, body=body, headers=headers)
            return True
        with body.open() as content:
            try:
                connection.request(call.method, target, body=content, headers=headers)
            except (BrokenPipeError, ConnectionResetError):
                return False  # who will not take so much says so before: the answer is there to be read
        return True

    def _may_retry(self, outcome: _Outcome, call: Call[T], retries: int) -> bool:
        if retries > self._max_retries:
            return False
        if outcome.error is None:
            return worth_repeating(outcome.status, repeatable=call.repeatable)
        if isinstance(outcome.error, ConnectionRefusedError):
            return self._wait_for_listener
        if _is_certificate_error(outcome.error):
            return False
        return call.repeatable or not outcome.sent

    def _wait(self, outcome: _Outcome, retries: int, deadline: float | None) -> float | None:
        """Seconds until the next try; None if that would be after the deadline."""
        asked_for = parse_retry_after(outcome.retry_after, clock.now())
        wait = wait_before(retries, asked_for, self._longest, _chance())
        if deadline is not None and clock.monotonic() + wait >= deadline:
            return None
        return wait

    def _error(self, call: Call[T], outcome: _Outcome, tries: int) -> APIError:
        request = f"{call.method} {self.api_url}{call.target}"
        if outcome.error is None:
            answered = error_from(outcome.status, outcome.raw, request)
            return self._wrong_address(answered) if answered.code == "no_such_route" else answered
        error = outcome.error
        often = f" ({tries} tries)" if tries > 1 else ""
        if isinstance(error, ConnectionRefusedError):
            refusal = Refusal(
                f"Nobody listens at {self.api_url}: the connection was refused{often}",
                hint="Is a server running? Start one with: penstock server start",
            )
            refusal.__cause__ = error
            return refusal
        message = f"No answer from {self.api_url} to {call.method} {call.path}{often}: {_words(error)}"
        if outcome.sent and not call.repeatable:
            message += ". The request was sent, and it may have been acted on; it was not repeated"
        unreachable = Unreachable(message, hint="Check PENSTOCK_API_URL and that the server runs and can be reached.")
        unreachable.__cause__ = error
        return unreachable

    def _wrong_address(self, error: APIError) -> APIError:
        """The error that nothing is where the API should be: of an address without its path it is no answer to what was
        asked, and must not be taken for one that something is missing there."""
        if self.api_url.endswith("/api"):
            return error
        return Invalid(
            f"There is no API at {self.api_url}, whose path does not end in /api. {error.message}",
            code="wrong_api_url",
            hint=f"Is PENSTOCK_API_URL={self.api_url}/api meant?",
            status=error.status,
        )


def _headers(key: str | None, attempt: tuple[UUID, str] | None) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "User-Agent": f"penstock/{__version__}",
        "X-PREFECT-API-VERSION": API_VERSION,
    }
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if attempt is not None:
        headers["X-Penstock-Attempt"] = f"{attempt[0]}:{attempt[1]}"
    return headers


def _is_certificate_error(error: Exception) -> bool:
    # By name: importing ssl only to ask would cost every program that speaks plain HTTP.
    return type(error).__name__ == "SSLCertVerificationError"


def _words(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return "no answer in time" if isinstance(error, TimeoutError) else text
