"""One run's line to the server: asks and waits for answers as long as it takes, and carries the reports.

A session belongs to the outermost flow run of this process; the subflow runs inside of it use it too.
"""

import os
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from penstock import settings
from penstock.client.call import Call
from penstock.client.patience import ask
from penstock.client.sync import SyncClient, get_sync_client
from penstock.clock import monotonic
from penstock.engine import loop, memory, moments, wire
from penstock.engine.interruption import (
    TERMINATED,
    CancelRequested,
    Interruption,
    Stoppable,
    Superseded,
    SuspendRequested,
    TerminationSignal,
    wake_running_loop,
)
from penstock.engine.reporter import FENCED, Reporter
from penstock.errors import APIError, MissingContext
from penstock.model.flow_runs import FlowRun
from penstock.model.reports import ReportReceipt
from penstock.model.states import OrchestrationResult, State, StateType

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

#: Seconds that a run which was told to end has for telling so: platforms kill 10 s (Docker) or 30 s after they asked.
LAST_WORDS = 8.0


def _receipt() -> type[ReportReceipt]:
    return ReportReceipt


#: Those of this process, for its forks.
_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()


def _forked() -> None:
    moments.forked()
    loop.forked()
    for session in list(_sessions):
        session.forked = True
        session.reporter.forked()
    if _sessions:
        _leave_signals_to_parent()


def _leave_signals_to_parent() -> None:
    """What a fork is told is not for the run. Event loops share the pipe through which they learn of signals."""
    signal.set_wakeup_fd(-1)
    handler = signal.getsignal(signal.SIGTERM)
    if str(getattr(handler, "__module__", "")).startswith("penstock.engine."):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Session:
    """`attempt` is (id, token) when an agent started this process; then the agent ends it when the run is cancelled.

    A run without an attempt (``python flow.py``) has nobody to do that: `CancelRequested` is raised in its code. In any
    run it is raised where the next task or subflow would start.
    """

    #: whether the flow itself runs in this process; a worker of a cluster only runs calls for it
    owns_run = True

    def __init__(self, client: SyncClient, flow_run: FlowRun, *, attempt: tuple[UUID, str] | None = None) -> None:
        self.client = client
        self.flow_run_id = flow_run.id
        self.attempt = attempt
        self.thread = threading.get_ident()
        self.cancel_requested = False
        #: whether this is another process than the one that the run is in
        self.forked = False
        #: whether what ends the run is raised to the program's own code, which shows it
        self.raises = False
        #: subflow runs that somebody wants to stop, while the run itself goes on
        self.cancelled_subflows: set[UUID] = set()
        #: whether this process was told to end, by SIGTERM, or by SIGINT while an event loop ran
        self.terminated = False
        self.interrupted = False
        #: flow run -> its code that runs now, in which an exception may be raised from outside
        self.running: dict[UUID, Stoppable] = {}
        self.superseded: str | None = None
        #: whether the server has the run as paused: nothing new is to start; see `penstock.engine.pauses`
        self.paused = False
        #: whether this process is to leave, because the run was suspended
        self.suspended = False
        #: run -> who looks whether it is still paused
        self.watches: dict[UUID, Any] = {}
        self.loss_seconds = float(settings.get("PENSTOCK_API_LOSS_SECONDS"))
        #: kept by `penstock.engine.slots`, from the first task run with tags on
        self.slots: object = None
        self.logs_to_api = bool(settings.get("PENSTOCK_LOGGING_TO_API"))
        #: most bytes of a log line, and whether a longer one was told to have been cut
        self.longest_line = int(settings.get("PENSTOCK_LOGGING_TO_API_MAX_LOG_SIZE"))
        self.cut_told = False
        #: what the kernel had killed here when the run's last try ended, or before the first one
        self.killed_before = memory.killed()
        #: whether each task run is told when it comes and goes
        self.debug = False
        self._cancelling: bool | None = None
        self._asking = threading.Lock()
        self._messenger = get_sync_client(client.api_url, None, attempt, max_retries=0)
        self.reporter = Reporter(
            flow_run.id,
            self._send_batch,
            settings.home() / "spool",
            on_cancel=self._cancel,
            on_over=self._supersede,
            patience=self.loss_seconds,
            spool_limit=float(settings.get("PENSTOCK_LOGGING_SPOOL_LIMIT_MB")) * 1_000_000,
            in_a_hurry=lambda: self.terminated,
        )
        self.reporter.start()
        _sessions.add(self)

    @property
    def deployed(self) -> bool:
        return self.attempt is not None

    def ask(self, call: Call[T]) -> T:
        """The answer to `call`, however long the API is away, up to PENSTOCK_API_LOSS_SECONDS.

        Raises Superseded when the server says that this attempt is over, and what `client.send` raises otherwise.
        """
        try:
            return ask(self.client, call, self.loss_seconds)
        except APIError as error:
            if error.code in FENCED:
                self.superseded = error.message
                raise Superseded(error.message) from error
            raise

    def propose(self, flow_run_id: UUID, state: State) -> OrchestrationResult:
        """Put a state of a flow run to the server. An answer that was lost is asked for again."""
        from penstock.client import flow_runs

        return self.ask(flow_runs.set_flow_run_state(flow_run_id, wire.proposal(state)))

    def check(self) -> None:
        """Called before anything new starts. Raises what stops the run if it is to stop, MissingContext in a fork."""
        if self.forked:
            raise MissingContext(
                "This process is a fork of the one in which the flow runs, and only that one can account for tasks.",
                hint="Call its function (.fn), or call a flow: that is a run of its own here.",
            )
        if self.superseded is not None:
            raise Superseded(self.superseded)
        if self.cancel_requested:
            raise CancelRequested("somebody asked for the run to be cancelled")
        if self.suspended:
            raise SuspendRequested("the run was suspended")

    def is_being_cancelled(self) -> bool:
        """Whether the server has the run as Cancelling or Cancelled. Asked once, for some seconds; unknown is no."""
        with self._asking:
            if self._cancelling is None:
                self._cancelling = self.cancel_requested or self._ask_whether_cancelled()
            return self._cancelling

    @contextmanager
    def code_of(self, flow_run_id: UUID, task: "asyncio.Task[Any] | None") -> Iterator[None]:
        """In the body runs the code of that flow run, in `task` if it is asynchronous: it can be stopped from outside."""
        with Stoppable(task) as self.running[flow_run_id]:
            try:
                yield
            finally:
                del self.running[flow_run_id]

    @contextmanager
    def noting_sigint(self) -> Iterator[None]:
        """In the body, SIGINT does what it did, and is remembered: an event loop makes a mere cancellation of it.

        Where it would be an exception amid an event loop, which leaves the flow's coroutine hanging, that is stopped.
        """
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(before):
            yield
            return

        def ring(number: int, frame: FrameType | None) -> None:
            again, self.interrupted = self.interrupted, True
            code = self.running.get(self.flow_run_id)
            if before is signal.default_int_handler and code is not None and code.is_coroutine and not again:
                code.stop(KeyboardInterrupt)
            else:
                before(number, frame)
            wake_running_loop()

        signal.signal(signal.SIGINT, ring)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGINT) is ring:
                signal.signal(signal.SIGINT, before)

    @contextmanager
    def heeding_sigterm(self, *, isasync: bool) -> Iterator[None]:
        """In the body, SIGTERM stops the main thread by an exception, unless the program has a handler of its own.

        Without this, the process would be gone and its run would stay Running. An event loop gets a SystemExit, the one
        exception of this kind that it lets through after it has cancelled what it runs.
        """
        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            yield
            return

        def ring(_signal: int, _frame: FrameType | None) -> None:
            if not self.terminated:
                self.terminated = True
                raise SystemExit(TERMINATED) if isasync else TerminationSignal("SIGTERM")

        signal.signal(signal.SIGTERM, ring)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def close(self) -> None:
        """Send what is left, for a few seconds at most, and close the connections."""
        self.reporter.close()
        self._messenger.close()
        self.client.close()

    def _send_batch(self, body: bytes) -> ReportReceipt:
        receipt = self._messenger.send(Call("POST", "/reports", _receipt, body=body))
        self.paused = receipt.paused
        for subflow_run_id in receipt.cancel_subflows:
            if subflow_run_id not in self.cancelled_subflows:
                self.cancelled_subflows.add(subflow_run_id)
                self._stop(subflow_run_id, CancelRequested)
        return receipt

    def _ask_whether_cancelled(self) -> bool:
        from penstock.client import flow_runs

        try:
            found = self.client.send(flow_runs.read_flow_run(self.flow_run_id), deadline=monotonic() + LAST_WORDS / 2)
        except APIError:
            return False
        return found.state_type in {StateType.CANCELLING, StateType.CANCELLED}

    def _cancel(self) -> None:
        self.cancel_requested = True
        if not self.deployed:
            self._stop(self.flow_run_id, CancelRequested)

    def _stop(self, flow_run_id: UUID, exception: type[Interruption]) -> None:
        code = self.running.get(flow_run_id)
        if code is not None:
            code.stop(exception)

    def _supersede(self, message: str) -> None:
        self.superseded = message
        if self.deployed:
            # The job's own handler turns this into an exception in the main thread, wherever that waits.
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self._stop(self.flow_run_id, Superseded)
