"""A worker's lines to the server: one for each flow run whose tasks it runs, open while it has any and a while longer."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from penstock import settings
from penstock.client.sync import get_sync_client
from penstock.clock import monotonic
from penstock.engine.interruption import CancelRequested, Superseded
from penstock.engine.remote_calls import RunFacts
from penstock.engine.session import Session
from penstock.model.flow_runs import FlowRun

#: Seconds that a line stays open when nothing runs any more.
IDLE = 20.0
#: Seconds that the outcome of a call waits for its log lines to arrive at the server, while that answers.
PATIENCE = 5.0

#: Makes, for a session, what stops its calls with an exception of that type.
StopCalls = Callable[["WorkerSession"], Callable[[type[BaseException]], None]]


class WorkerSession(Session):
    """The session of calls that run here for a flow in another process. What stops the run stops these calls only."""

    owns_run = False

    def __init__(self, facts: RunFacts, flow_run: FlowRun, stop_calls: StopCalls) -> None:
        self.calls = 0
        self.idle_since = monotonic()
        self.late = False
        self._stop_calls = stop_calls(self)
        super().__init__(get_sync_client(attempt=facts.attempt), flow_run, attempt=facts.attempt)

    def undelivered(self) -> str | None:
        """Wait until what was reported has arrived. Why it has not, if that takes too long.

        While the API is away, only the first to ask waits; the lines are kept and sent when it is back.
        """
        patience = 0.0 if self.late and self.reporter.last_error is not None else PATIENCE
        self.late = not self.reporter.flush(patience)
        return str(self.reporter.last_error or f"no answer within {patience:g} s") if self.late else None

    def _cancel(self) -> None:
        self.cancel_requested = True
        self._stop_calls(CancelRequested)

    def _supersede(self, message: str) -> None:
        self.superseded = message
        self._stop_calls(Superseded)


_open: dict[tuple[object, ...], WorkerSession] = {}
_lock = threading.Lock()
_ours: set[str] = set()
_sweeping = False


@contextmanager
def session_for(facts: RunFacts, flow_run: FlowRun, stop_calls: StopCalls) -> Iterator[WorkerSession]:
    """The session of that outermost `flow_run`, opened if it is not; held open by the body."""
    key = (flow_run.id, facts.attempt)
    with _lock:
        if not is_at_home(facts):
            _take(facts.settings)
        session = _open.get(key)
        if session is None or session.reporter.over:
            session = _open[key] = WorkerSession(facts, flow_run, stop_calls)
        session.calls += 1
    try:
        yield session
    finally:
        with _lock:
            session.calls -= 1
            session.idle_since = monotonic()
            _sweep_later()


def is_at_home(facts: RunFacts) -> bool:
    """Whether this is the flow's own process: a cluster of threads."""
    return facts.process == here()


def here() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


def _take(given: dict[str, str]) -> None:
    """Settings of the flow's process hold here where nobody has set them here: in the environment or a profile."""
    for name, value in given.items():
        if name in _ours or settings.read(name)[1] == settings.DEFAULT:
            os.environ[name] = value
            _ours.add(name)


def _sweep_later() -> None:
    """The lock is held."""
    global _sweeping
    if not _sweeping:
        _sweeping = True
        timer = threading.Timer(IDLE, _sweep)
        timer.daemon = True
        timer.start()


def _sweep() -> None:
    global _sweeping
    with _lock:
        _sweeping = False
        old = [key for key, session in _open.items() if not session.calls and monotonic() - session.idle_since >= IDLE]
        closing = [_open.pop(key) for key in old]
        if _open:
            _sweep_later()
    for session in closing:
        session.close()
