"""Task runners whose tasks leave the flow's process.

The generator of a task run is carried on here, piece by piece; only the call of the task's function travels. While that is
away, or a retry is waited for, no thread is taken: thousands of task runs may be under way.
"""

import logging
import pickle
import threading
from abc import abstractmethod
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextvars import copy_context
from types import ModuleType
from typing import Any, ClassVar
from uuid import uuid4

from penstock.engine import remote_calls
from penstock.engine.context import TAGS, TASK_RUN, FlowRunContext, TaskRunContext
from penstock.engine.futures import when_all_done
from penstock.engine.loop import call_later
from penstock.engine.outcomes import WorkerLost, describe
from penstock.engine.protocols import OnEnd
from penstock.engine.remote_calls import Outcome, RemoteCall
from penstock.engine.remote_facts import pack_run, task_facts
from penstock.engine.run_logs import logger_of
from penstock.engine.steps import Invoke, Sleep, Timeout, Until, WaitFor
from penstock.engine.task_runners import BaseTaskRunner, ConcurrentTaskRunner, TaskConcurrencyType

#: Most threads that carry task runs on: for what is done here between two calls of a function.
THREADS = 16

#: Gives what a step waited for, or raises it.
Settled = Callable[[], Any]
#: Begins to wait in that turn of a `_Drive`.
BeginWait = Callable[[int], None]


class RemoteTaskRunner(BaseTaskRunner):
    """Base of runners on a cluster. A subclass says how to `connect`, `send`, `withdraw` and `disconnect`."""

    remote: ClassVar[bool] = True

    def __init__(self) -> None:
        self._pool = ConcurrentTaskRunner(THREADS)
        self._lock = threading.Lock()
        self._drives: set[_Drive] = set()
        self._packed_run: tuple[int, bytes] | None = None
        self._functions: dict[Callable[..., Any], tuple[bytes, list[ModuleType]]] = {}
        self._undelivered_told = False

    @property
    def concurrency_type(self) -> TaskConcurrencyType:
        return TaskConcurrencyType.PARALLEL

    @abstractmethod
    def connect(self) -> None:
        """Reach or make the cluster. Raises ConfigurationError, or what the platform raises; then nothing is left."""

    @abstractmethod
    def send(self, call_id: str, task_name: str, payload: bytes) -> "Future[bytes]":
        """Have a worker call `penstock.engine.remote.run_call(payload)`, once. The future raises if it was lost."""

    @abstractmethod
    def withdraw(self, call_ids: list[str]) -> None:
        """Nobody waits for these any more: they are not to begin, and to be stopped where they run. Does not wait."""

    @abstractmethod
    def disconnect(self) -> None:
        """Leave the cluster, and end it if it was made here."""

    def start(self) -> None:
        self._pool.start()
        self.connect()

    def submit(self, work: Callable[[], None]) -> None:
        self._pool.submit(work)

    def carry_out(self, steps: Generator[Any, Any, Any], on_end: OnEnd) -> None:
        drive = _Drive(steps, self, on_end)
        with self._lock:
            self._drives.add(drive)
        drive.begin()

    def interrupt(self, exception: type[BaseException]) -> None:
        with self._lock:
            drives = list(self._drives)
        away = [drive.call_id for drive in drives if drive.call_id is not None]
        for drive in drives:
            drive.interrupt(exception)
        self._pool.interrupt(exception)
        if away:
            self.withdraw(away)

    def stop(self) -> None:
        self._pool.stop()
        try:
            self.disconnect()
        except Exception as error:  # the run has its outcome; this cannot change it any more
            logging.getLogger(__name__).warning("The cluster was not left in good order: %s", describe(error))

    def ended(self, drive: "_Drive") -> None:
        with self._lock:
            self._drives.discard(drive)

    def outcome(self, future: "Future[bytes]", context: TaskRunContext) -> Any:
        """What the call returned. Raises what it raised, Timeout, or WorkerLost with the platform's words."""
        try:
            outcome: Outcome = pickle.loads(future.result())
        except BaseException as error:
            raise WorkerLost(f"The worker that ran the task is gone: {describe(error)}") from None
        if outcome.undelivered is not None:
            self._tell_undelivered(context.flow_run_context, outcome.undelivered)
        if outcome.timed_out:
            raise Timeout(left_behind=outcome.left_behind)
        return remote_calls.settle(outcome)

    def call_of(self, call_id: str, invoke: Invoke, context: TaskRunContext, tags: frozenset[str]) -> RemoteCall:
        """What has to travel. Raises SerializationError that says what cannot."""
        task, record = context.task, context.record
        fn, modules = self._function(invoke.fn, task.name)
        return RemoteCall(
            id=call_id,
            task=task_facts(task),
            run=self._run_of(context.flow_run_context),
            fn=fn,
            arguments=remote_calls.pack_arguments(invoke.args, invoke.kwargs, modules, task.signature, task.name),
            timeout=invoke.timeout,
            model=record.as_model().model_dump_json().encode(),
            call=record.call,
            number=record.number,
            run_count=context.run_count,
            log_prints=context.log_prints,
            tags=tags,
        )

    def _tell_undelivered(self, run: FlowRunContext, why: str) -> None:
        if not self._undelivered_told:
            self._undelivered_told = True
            logger_of(run).warning(
                "Log lines of a worker have not reached the server yet: %s. If they never do, set PENSTOCK_API_URL on "
                "the workers to the address of the server as it is seen from there.",
                why,
            )

    def _function(self, fn: Callable[..., Any], task_name: str) -> tuple[bytes, list[ModuleType]]:
        """`fn`, packed once for all its calls, and the modules whose code goes along."""
        known = self._functions.get(fn)
        if known is None:
            modules = remote_calls.travelling(fn)
            known = self._functions[fn] = remote_calls.pack_function(fn, modules, task_name), modules
        return known

    def _run_of(self, run: FlowRunContext) -> bytes:
        """Packed once for each try of the flow run."""
        known = self._packed_run
        if known is None or known[0] != run.flow_run.run_count:
            known = self._packed_run = run.flow_run.run_count, pack_run(run)
        return known[1]


class _Drive:
    """One task run on its way: the third driver of steps, beside `drive` and `drive_async`.

    Each time that the steps wait for something, it has a `turn`; whoever ends the wait says which one he means, so that what
    comes when the wait was ended otherwise is heeded no more.
    """

    def __init__(self, steps: Generator[Any, Any, Any], runner: RemoteTaskRunner, on_end: OnEnd) -> None:
        self.call_id: str | None = None
        self._steps = steps
        self._runner = runner
        self._on_end = on_end
        self._context = copy_context()
        self._lock = threading.Lock()
        self._turn = 0
        self._waiting = True
        self._interruption: type[BaseException] | None = None

    def begin(self) -> None:
        self.resume(0, _nothing)

    def resume(self, turn: int, settled: Settled) -> None:
        """What was waited for is there: go on, in a thread of the runner."""
        with self._lock:
            if not self._waiting or turn != self._turn:
                return
            self._waiting = False
            self._turn += 1
        self._runner.submit(lambda: self._go_on(settled))

    def interrupt(self, exception: type[BaseException]) -> None:
        """Raise `exception` in the steps: now if they wait, else when they would wait next."""
        with self._lock:
            turn, waiting = self._turn, self._waiting
            if not waiting:
                self._interruption = exception
        if waiting:
            self.resume(turn, _raising(exception))

    def _go_on(self, settled: Settled) -> None:
        # The wait begins outside of the context: what ends it enters that from another thread, perhaps at once.
        begin_wait = self._context.run(self._advance, settled)
        if begin_wait is None:
            return
        with self._lock:
            self._waiting = True
            turn = self._turn
            interruption, self._interruption = self._interruption, None
        if interruption is not None:
            self.resume(turn, _raising(interruption))
        else:
            begin_wait(turn)

    def _advance(self, settled: Settled) -> "BeginWait | None":
        """Carry the steps on to the next thing that takes time elsewhere: how to wait for that. None: they have ended."""
        self.call_id = None
        while True:
            try:
                value = settled()
            except BaseException as error:
                raised = error
                effect = self._step(lambda: self._steps.throw(raised))  # noqa: B023 - called at once
            else:
                effect = self._step(lambda: self._steps.send(value))  # noqa: B023 - called at once
            if effect is None:
                return None
            try:
                begin_wait = self._wait_for(effect)
            except BaseException as error:
                settled = _raised_again(error)
                continue
            if begin_wait is not None:
                return begin_wait
            settled = effect.run

    def _step(self, step: Callable[[], Any]) -> Any:
        """The next effect; None if that was the last step."""
        try:
            return step()
        except StopIteration as end:
            self._end(end.value, None)
        except BaseException as error:
            self._end(None, error)
        return None

    def _end(self, value: Any, error: BaseException | None) -> None:
        self._runner.ended(self)
        self._on_end(value, error)

    def _wait_for(self, effect: Any) -> "BeginWait | None":
        """How to have `resume` called when `effect` is done; None if it is to be carried out here."""
        if isinstance(effect, Sleep):
            return lambda turn: call_later(max(effect.seconds, 0), lambda: self.resume(turn, _nothing))
        if isinstance(effect, WaitFor):
            return lambda turn: when_all_done(effect.futures, lambda: self.resume(turn, _nothing))
        if isinstance(effect, Until):
            return lambda turn: self._until(effect, turn)
        return self._sent(effect) if isinstance(effect, Invoke) else None

    def _until(self, effect: Until, turn: int) -> None:
        effect.register(lambda: self.resume(turn, lambda: True))
        if effect.timeout is not None:
            call_later(effect.timeout, lambda: self.resume(turn, lambda: False))

    def _sent(self, effect: Invoke) -> "BeginWait | None":
        """Send the call of the task's own function. Any other, such as a hook's, is made here."""
        task_run = TASK_RUN.get()
        if task_run is None or effect.fn is not task_run.task.fn:
            return None
        call_id = uuid4().hex
        call = remote_calls.pack_call(self._runner.call_of(call_id, effect, task_run, TAGS.get()))
        self.call_id = call_id
        future = self._runner.send(call_id, task_run.task.name, call)

        def begin_wait(turn: int) -> None:
            future.add_done_callback(lambda done: self.resume(turn, lambda: self._runner.outcome(done, task_run)))

        return begin_wait


def _nothing() -> None:
    return None


def _raising(exception: type[BaseException]) -> Settled:
    def settled() -> Any:
        raise exception()

    return settled


def _raised_again(error: BaseException) -> Settled:
    def settled() -> Any:
        raise error

    return settled
