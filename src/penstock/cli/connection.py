"""The way to the server: the client, with plain JSON for what is only printed, and each request told with -v."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.cli.session import Session, current

if TYPE_CHECKING:
    from penstock.client.call import Call
    from penstock.client.sync import SyncClient

T = TypeVar("T")


#: Tries of the first request beyond the first: a wrong address is to be told soon.
_FIRST_RETRIES = 1


class Connection:
    """A client for the length of one command.

    Until the server has answered once it is asked with little patience; from then on with that of the settings, because a
    command that is under way shall not fail when the server is restarted.
    """

    def __init__(self, session: Session) -> None:
        from penstock.client import get_sync_client

        self.client: SyncClient = get_sync_client(max_retries=_FIRST_RETRIES)
        self._patient = False
        self._session = session

    def close(self) -> None:
        self.client.close()

    def _answered(self) -> None:
        if not self._patient:
            from penstock.client import get_sync_client

            self._patient = True
            impatient, self.client = self.client, get_sync_client()
            impatient.close()

    @property
    def api_url(self) -> str:
        return self.client.api_url

    def send(self, call: "Call[T]") -> T:
        """Send `call`; the answer is an object of the model."""
        with self._told(call.method, call.target):
            return self.client.send(call)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send any request; the answer is plain JSON."""
        with self._told(method, path):
            return self.client.request(method, path, body)

    @contextmanager
    def _told(self, method: str, target: str) -> Iterator[None]:
        began = time.monotonic()
        outcome = "failed"
        try:
            yield
            outcome = "ok"
            self._answered()
        finally:
            if self._session.verbose:
                took = (time.monotonic() - began) * 1000
                print(f"{method} {target}: {outcome}, {took:.0f} ms", file=sys.stderr, flush=True)

    def rows(self, call: "Call[Any]") -> list[dict[str, Any]]:
        """Send `call`; the answer is a list of plain JSON objects. Imports no model."""
        return self.send(replace(call, answer=_list))

    def row(self, call: "Call[Any]") -> dict[str, Any]:
        """Send `call`; the answer is one plain JSON object. Imports no model."""
        return self.send(replace(call, answer=_dict))


def _list() -> type[list[Any]]:
    return list


def _dict() -> type[dict[str, Any]]:
    return dict


@contextmanager
def connect(session: Session | None = None) -> Iterator[Connection]:
    """A connection to the server of the settings; with none set, to the local server, which is started when needed."""
    connection = Connection(session or current())
    try:
        yield connection
    finally:
        connection.close()
