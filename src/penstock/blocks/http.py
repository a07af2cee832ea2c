"""One HTTP request to somebody else's service: sent, repeated where that helps, never telling secrets in errors."""

import http.client
import json
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from penstock import clock
from penstock.client.retries import parse_retry_after, wait_before, worth_repeating
from penstock.errors import DeliveryError
from penstock.model.block_documents import MASK
from penstock.version import __version__

if TYPE_CHECKING:
    import ssl

#: How often a request is sent at most, and the longest wait in seconds between two tries.
MAX_TRIES = 4
LONGEST_WAIT = 20.0
#: Bytes of an answer that are read at most, and characters of it that an error tells.
MAX_ANSWER = 10 * 1024 * 1024
MAX_WORDS = 500


@dataclass(frozen=True)
class Request:
    """What is sent. `url` may hold secrets; errors name its host alone."""

    method: str
    url: str = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 200 to 299."""
        return 200 <= self.status_code < 300

    @property
    def retry_after(self) -> float | None:
        """The seconds after which the service wants to be asked again; None if it does not say."""
        return parse_retry_after(self.headers.get("Retry-After"), clock.now())

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The content as JSON. Raises ValueError if it is none."""
        return json.loads(self.content)


def json_request(url: str, data: Any, headers: Mapping[str, str] | None = None, method: str = "POST") -> Request:
    """A request whose body is `data` as JSON."""
    return Request(method, url, json.dumps(data).encode(), {"Content-Type": "application/json", **(headers or {})})


def check_url(url: str, name: str) -> None:
    """Raises ValueError, which does not tell the URL, if it is none of HTTP. `name` is the field's."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError(f"{name} has to look like https://hooks.example.com/…")


def send(
    request: Request,
    *,
    secrets: Iterable[str] = (),
    repeatable: bool = True,
    timeout: float = 10.0,
    allow_private: bool = True,
) -> Answer:
    """The answer to `request`. It is sent again after 429 and 5xx, unless a longer wait is asked for, and when no connection
    came about.

    With `repeatable` False it is not sent again where it was perhaps acted on. With `allow_private` False it is sent to
    public addresses only. `timeout` is seconds without a sign. Raises DeliveryError, without any of `secrets`, if nobody answers.
    """
    parts = urlsplit(request.url)
    tries = 0
    while True:
        tries += 1
        wait: float | None = None
        try:
            answer = _try(request, parts, timeout, allow_private)
        except _NotSent as failure:
            error: Exception = failure.error
            repeat = True
        except (OSError, http.client.HTTPException) as failure:
            error, repeat = failure, repeatable
        else:
            if not worth_repeating(answer.status_code, repeatable=repeatable) or tries == MAX_TRIES:
                return answer
            wait = answer.retry_after
            if wait is not None and wait > LONGEST_WAIT:
                return answer  # to ask earlier than it wants would only annoy it; nobody waits here for that long
            time.sleep(wait_before(tries, wait, LONGEST_WAIT, random.random()))
            continue
        if not repeat or tries == MAX_TRIES or type(error).__name__ == "SSLCertVerificationError":
            often = f" ({tries} tries)" if tries > 1 else ""
            words = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            raise DeliveryError(
                f"{parts.hostname} could not be reached{often}: {hide(words, secrets)}", code="unreachable"
            ) from None
        time.sleep(wait_before(tries, None, LONGEST_WAIT, random.random()))


def words_of(answer: Answer, secrets: Iterable[str] = ()) -> str:
    """What the service says of a request that it refused, in its own words and without `secrets`."""
    text = answer.text.strip()
    try:
        found = _find_words(json.loads(text))
    except ValueError:
        found = "" if text.startswith("<") else text
    return hide(found or http.client.responses.get(answer.status_code, ""), secrets)[:MAX_WORDS]


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` with a mask in place of each of `secrets`."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


class _NotSent(Exception):
    """The connection did not come about: nothing of the request went out."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _try(request: Request, parts: SplitResult, timeout: float, allow_private: bool) -> Answer:
    connection = _connection(parts, timeout)
    try:
        try:
            connection.connect()
        except OSError as error:
            raise _NotSent(error) from None
        if not allow_private:
            _refuse_private(connection, parts)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"User-Agent": f"penstock/{__version__}", **request.headers}
        connection.request(request.method, target, body=request.body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read(MAX_ANSWER))  # type: ignore[arg-type]
    finally:
        connection.close()


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port or 443, timeout=timeout, context=_tls())
    return http.client.HTTPConnection(host, parts.port or 80, timeout=timeout)


def _tls() -> "ssl.SSLContext":
    import ssl

    return ssl.create_default_context()


def _refuse_private(connection: http.client.HTTPConnection, parts: SplitResult) -> None:
    """By the address that was really connected to: a name can mean another one each time it is asked for."""
    address = connection.sock.getpeername()[0]
    if not ip_address(address.partition("%")[0]).is_global:
        raise DeliveryError(
            f"{parts.hostname} is {address}, an address of a private network, and nothing was sent.",
            code="private_address",
            hint="Set allow_private_urls to true if that is meant.",
        )


def _find_words(data: Any) -> str:
    """The message in an error's JSON, in the forms that services give it."""
    if isinstance(data, str):
        return data
    if isinstance(data, list):
        return "; ".join(filter(None, map(_find_words, data)))
    if isinstance(data, dict):
        found = (_find_words(data.get(key)) for key in ("message", "error", "errors", "detail", "description"))
        return ": ".join(dict.fromkeys(filter(None, found)))
    return ""
