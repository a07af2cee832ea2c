"""The API as it is on the wire: statuses, headers, JSON; no client of ours in between."""

import http.client
import json
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

#: Seconds after which a connection that was not used is made anew: a server closes it after 75.
IDLE_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: http.client.HTTPMessage


class Api:
    """One connection to one server. `headers` go with every request."""

    def __init__(self, api_url: str, headers: dict[str, str] | None = None) -> None:
        self.url = api_url
        self.headers = headers or {}
        parts = urlsplit(api_url)
        self._prefix = parts.path
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=180)
        self._used = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        text = json.dumps(body) if body is not None else None
        sent = {"Content-Type": "application/json"} if text is not None else {}
        sent |= self.headers | {key.replace("_", "-"): value for key, value in headers.items()}
        if monotonic() - self._used > IDLE_SECONDS:
            self._connection.close()
        self._connection.request(method, self._prefix + path, text, sent)
        response = self._connection.getresponse()
        raw = response.read()
        self._used = monotonic()
        return Answer(response.status, json.loads(raw) if raw else None, response.headers)

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("POST", path, body, **headers)

    # what most tests begin with

    def flow(self) -> str:
        """The id of a new flow."""
        return str(self.post("/flows/", {"name": f"flow-{uuid4()}"}).body["id"])

    def run(self, state: str | None = "PENDING", **fields: Any) -> dict[str, Any]:
        """A new flow run in a state of that type."""
        body = {"flow_id": fields.pop("flow_id", None) or self.flow(), **fields}
        if state is not None:
            body["state"] = {"type": state}
        answer = self.post("/flow_runs/", body)
        assert answer.status == 201, answer
        run: dict[str, Any] = answer.body
        return run

    def propose(self, run_id: str, kind: str, noun: str = "flow_runs", force: bool = False, **fields: Any) -> Answer:
        """Propose a state; `details` are its state_details."""
        state = {"type": kind, **fields}
        if "details" in state:
            state["state_details"] = state.pop("details")
        return self.post(f"/{noun}/{run_id}/set_state", {"state": state, "force": force})
