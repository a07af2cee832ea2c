"""One job: the flow run that the environment names, from the presented token to the exit code.

- PENSTOCK__FLOW_RUN_ID: the run, 32 hexadecimal digits with or without dashes
- PENSTOCK__ATTEMPT_ID: the attempt. Without one the run is executed by hand: by whoever started this process.
- PENSTOCK__ATTEMPT_TOKEN: its token, or PENSTOCK__ATTEMPT_TOKEN_FILE, which names a file that holds it
- PENSTOCK_API_URL: the server, and the other settings of jobs

The process says by its exit code how it went. What the server knows counts more; the code is for whoever has only that:

- 0: the run is Completed, or was suspended and goes on in another process
- 1: the run has ended otherwise, and the server knows how and why
- 69: the server could not be reached in all the time that PENSTOCK_API_LOSS_SECONDS gives
- 78: this process was refused: its attempt is over, or another process runs it, or there is no such run; no user code
  ran, or it was stopped
- 143: the process was told to end by SIGTERM; user code was stopped by an exception, its finally blocks ran
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from uuid import UUID, uuid4

from penstock import settings
from penstock.client.patience import ask
from penstock.client.sync import SyncClient, get_sync_client
from penstock.client.token_of_job import ATTEMPT_TOKEN, ATTEMPT_TOKEN_FILE, token_of_job
from penstock.clock import monotonic
from penstock.engine.deployed_runs import deployed_run_steps
from penstock.engine.interruption import TERMINATED, Interruption, Superseded, SuspendRequested, TerminationSignal
from penstock.engine.reporter import FENCED
from penstock.engine.session import Session
from penstock.engine.steps import Steps, drive, drive_async
from penstock.errors import ConfigurationError, NotAuthorized, NotFound, PenstockError, Unreachable
from penstock.model.attempts import InfrastructureDocument, Presentation
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import FlowRun
from penstock.model.states import State

COMPLETED, ENDED_OTHERWISE, UNREACHABLE, REFUSED = 0, 1, 69, 78

#: Seconds that user code has to stop after the attempt was superseded; then the process ends without it.
STOP_SECONDS = 10.0
#: Seconds that an event loop's threads have at its end, and all threads once the process was told to end: who tells it
#: soon kills it.
THREADS_SECONDS = 3.0


@dataclass(frozen=True)
class Assignment:
    """What this process is to run, and as whom it speaks."""

    flow_run_id: UUID
    attempt: tuple[UUID, str] | None


@dataclass(frozen=True)
class Order:
    """The run with all that belongs to it."""

    flow_run: FlowRun
    deployment: Deployment | None
    storage: InfrastructureDocument | None


def main() -> int:
    """Run the job that this process's environment describes. Returns the exit code, with which the process soon ends."""
    code = run_job(os.environ)
    _end_in_time(code)
    return code


def _end_in_time(code: int) -> None:
    """Threads that user code has left behind, and handlers at exit, do not keep the process for ever."""
    seconds = float(settings.get("PENSTOCK_JOB_EXIT_SECONDS"))
    if code == TERMINATED:
        seconds = min(seconds, THREADS_SECONDS)
    left = ", ".join(thread.name for thread in threading.enumerate() if not thread.daemon and thread is not _main())
    if left:
        _say(f"the run is over, but threads of its code go on: {left}. The process waits {seconds:g} s for them.", code)

    def end() -> None:
        _say(f"something of the run's code goes on after {seconds:g} s; the process ends without it", code)
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _main() -> threading.Thread:
    return threading.main_thread()


def run_job(environ: Mapping[str, str]) -> int:
    """Run the job that `environ` describes. Returns the exit code; see the module."""
    bell = _Bell()
    bell.install()
    try:
        assignment = assignment_from(environ)
        client = get_sync_client(attempt=assignment.attempt)
        order = _present(client, assignment)
        session = Session(client, order.flow_run, attempt=assignment.attempt)
        bell.session = session
        try:
            return _run(session, order, bell)
        finally:
            session.close()
    except Superseded as error:
        return _say(f"this attempt is over: {error}", REFUSED)
    except TerminationSignal:
        return TERMINATED
    except Unreachable as error:
        return _say(str(error), UNREACHABLE)
    except (NotFound, NotAuthorized, ConfigurationError) as error:
        return _say(_with_hint(error), REFUSED)
    except PenstockError as error:
        return _say(_with_hint(error), REFUSED if error.code in FENCED else ENDED_OTHERWISE)
    finally:
        bell.remove()


def assignment_from(environ: Mapping[str, str]) -> Assignment:
    """What the environment asks for. Raises ConfigurationError that names the variable."""
    flow_run_id = _uuid(environ, "PENSTOCK__FLOW_RUN_ID")
    if not environ.get("PENSTOCK__ATTEMPT_ID"):
        return Assignment(flow_run_id, None)
    token = token_of_job(environ)
    if not token:
        raise ConfigurationError(
            f"PENSTOCK__ATTEMPT_ID is set, but neither {ATTEMPT_TOKEN} nor {ATTEMPT_TOKEN_FILE} is"
        )
    return Assignment(flow_run_id, (_uuid(environ, "PENSTOCK__ATTEMPT_ID"), token))


def _uuid(environ: Mapping[str, str], name: str) -> UUID:
    text = environ.get(name)
    if not text:
        raise ConfigurationError(
            f"{name} is not set: this program runs the flow run that it names",
            hint="Agents start it. To run a flow run by hand, set it to the run's id.",
        )
    try:
        return UUID(text.strip())
    except ValueError:
        raise ConfigurationError(f"{name} is {text!r}, which is no id") from None


def _present(client: SyncClient, assignment: Assignment) -> Order:
    """Show the token, if there is one: the fence before user code. Returns what is to be run."""
    patience = float(settings.get("PENSTOCK_API_LOSS_SECONDS"))
    if assignment.attempt is None:
        return _read_order(client, assignment.flow_run_id, patience)
    from penstock.client import attempts
    from penstock.version import __version__

    presentation = Presentation(
        token=assignment.attempt[1],
        instance_id=uuid4(),
        pid=os.getpid(),
        host=os.uname().nodename if hasattr(os, "uname") else None,
        python=".".join(map(str, sys.version_info[:3])),
        version=__version__,
    )
    presented = ask(client, attempts.present(assignment.attempt[0], presentation), patience)
    return Order(presented.flow_run, presented.deployment, presented.storage)


def _read_order(client: SyncClient, flow_run_id: UUID, patience: float) -> Order:
    from penstock.blocks.reading import claimed_document
    from penstock.client import block_documents, deployments, flow_runs

    flow_run = ask(client, flow_runs.read_flow_run(flow_run_id), patience)
    if flow_run.deployment_id is None:
        return Order(flow_run, None, None)
    deployment = ask(client, deployments.read_deployment(flow_run.deployment_id), patience)
    if deployment.storage_document_id is None:
        return Order(flow_run, deployment, None)
    call = block_documents.read_block_document(deployment.storage_document_id, include_secrets=True)
    document = ask(client, call, patience)
    return Order(flow_run, deployment, claimed_document(document))


def _run(session: Session, order: Order, bell: "_Bell") -> int:
    steps = deployed_run_steps(session, order.flow_run, order.deployment, order.storage)
    try:
        prepared = drive(steps)
        if isinstance(prepared, State):
            return _code_of(prepared)
        with session.noting_sigint():
            state = _run_async(prepared.steps, bell) if prepared.isasync else drive(prepared.steps)
        return _code_of(state)
    except SystemExit:
        return ENDED_OTHERWISE  # whatever the user's code has said: the run is Crashed
    except SuspendRequested:
        return COMPLETED
    except (asyncio.CancelledError, Interruption):
        if session.superseded is not None:
            raise Superseded(session.superseded) from None
        if session.terminated:
            return TERMINATED
        return ENDED_OTHERWISE


def _run_async(steps: Steps[State], bell: "_Bell") -> State:
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(_Executor())
        return runner.run(bell.cancelling(drive_async(steps)))


class _Executor(ThreadPoolExecutor):
    """The event loop's threads. Those that hang are not waited for when the loop ends."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        until = monotonic() + THREADS_SECONDS
        for thread in list(self._threads) if wait else ():
            thread.join(max(0.0, until - monotonic()))


def _code_of(state: State) -> int:
    return COMPLETED if state.is_completed() else ENDED_OTHERWISE


def _say(message: str, code: int) -> int:
    print(f"penstock: {message}", file=sys.stderr, flush=True)
    return code


def _with_hint(error: PenstockError) -> str:
    return f"{error} {error.hint}" if error.hint else str(error)


class _Bell:
    """SIGTERM becomes an exception in the main thread, or, in an event loop, a cancellation.

    Once: what follows is cleaning up.
    """

    def __init__(self) -> None:
        self.session: Session | None = None
        self._rung = False
        self._installed = False
        self._before: object = None

    def install(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._ring)
            self._installed = True

    def remove(self) -> None:
        if self._installed:
            signal.signal(signal.SIGTERM, self._before if callable(self._before) else signal.SIG_DFL)

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self._note():
            superseded = self.session.superseded if self.session else None
            raise Superseded(superseded) if superseded is not None else TerminationSignal("SIGTERM")

    def _note(self) -> bool:
        if self._rung:
            return False
        self._rung = True
        if self.session is not None:
            self.session.terminated = self.session.superseded is None
            if self.session.superseded is not None:
                self._end_anyway()
        return True

    def _end_anyway(self) -> None:
        timer = threading.Timer(STOP_SECONDS, os._exit, [REFUSED])
        timer.daemon = True
        timer.start()

    async def cancelling(self, running: object) -> State:
        """Await `running`, cancelling it on SIGTERM."""
        loop = asyncio.get_running_loop()
        task: asyncio.Task[State] = loop.create_task(running)  # type: ignore[arg-type]
        with suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(signal.SIGTERM, lambda: self._note() and task.cancel())
        return await task
