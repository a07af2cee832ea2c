"""What a worker of a cluster does: run one call of a task's function, as if it were in the flow's process.

The task run itself, with its states, retries and results, stays in the flow's process. Here the function finds its run
around it: loggers, prints, `penstock.runtime`, `get_run_context`, tasks that it calls. Log lines go to the server from
here, and have arrived there, if it answers, before the outcome travels back.
"""

import pickle
import threading
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import copy_context
from typing import Any, cast
from uuid import UUID

from penstock import settings
from penstock.engine import inputs
from penstock.engine.context import FLOW_RUN, TAGS, TASK_RUN, FlowRunContext, TaskRunContext, entered
from penstock.engine.interruption import Stoppable, TerminationSignal
from penstock.engine.moments import moment
from penstock.engine.prints import printing_as_logs
from penstock.engine.protocols import FlowLike, TaskLike
from penstock.engine.remote_calls import (
    FlowFacts,
    Outcome,
    RemoteCall,
    RunFacts,
    digest,
    pack_error,
    pack_value,
    unpack_call,
)
from penstock.engine.run_logs import begin
from penstock.engine.steps import Invoke, Timeout, Until, WaitFor
from penstock.engine.task_runners import ConcurrentTaskRunner
from penstock.engine.tracebacks import users_part
from penstock.engine.worker_sessions import WorkerSession, session_for
from penstock.model.flow_runs import FlowRun
from penstock.model.task_runs import TaskRun
from penstock.results.store import ResultStore

#: So many functions and flow runs are kept unpacked.
KEPT = 256


class _Kept:
    """Things by the digest of what they are unpacked from, the last used ones."""

    def __init__(self, unpack: Callable[[bytes], Any]) -> None:
        self._unpack = unpack
        self._known: OrderedDict[bytes, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, packed: bytes) -> Any:
        key = digest(packed)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = self._unpack(packed)
        with self._lock:
            self._known[key] = found
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found


def _unpack_run(packed: bytes) -> tuple[RunFacts, list[tuple[FlowFacts, FlowRun]]]:
    facts: RunFacts = pickle.loads(packed)
    return facts, [(flow, FlowRun.model_validate_json(run)) for flow, run in facts.flow_runs]


_functions = _Kept(pickle.loads)
_runs = _Kept(_unpack_run)
_lock = threading.Lock()
#: id -> how that call, which runs here now, is stopped, and whose it is
_running: dict[str, tuple[Stoppable, WorkerSession]] = {}
#: ids of calls that were to stop, some of which may not have begun
_stopped: deque[str] = deque(maxlen=10_000)


def run_call(payload: bytes) -> bytes:
    """Run the call and return its outcome, packed. Raises nothing: what goes wrong is the outcome."""
    try:
        call = unpack_call(payload)
        outcome = copy_context().run(_run, call)
    except BaseException as error:
        outcome = pack_error(error, _text_of(error))
    return pickle.dumps(outcome)


def stop_calls(ids: list[str]) -> None:
    """Interrupt those of these calls that run in this process; the others do not begin any more."""
    with _lock:
        _stopped.extend(ids)
        found = [_running[call_id][0] for call_id in ids if call_id in _running]
    for code in found:
        code.stop(TerminationSignal)


def _run(call: RemoteCall) -> Outcome:
    facts, flow_runs = _runs.get(call.run)
    with session_for(facts, flow_runs[-1][1], _stop_calls_of) as session:
        outcome = _in_context(call, facts, flow_runs, session)
        outcome.undelivered = session.undelivered()
    return outcome


def _in_context(
    call: RemoteCall, facts: RunFacts, flow_runs: list[tuple[FlowFacts, FlowRun]], session: WorkerSession
) -> Outcome:
    try:
        fn = _functions.get(call.fn)
        args, kwargs = pickle.loads(call.arguments)
        run = _flow_run_context(facts, flow_runs, session)
        context = _task_run_context(call, run, fn, args, kwargs)
    except Exception as error:
        return pack_error(error, _text_of(error))
    with ExitStack() as stack:
        stack.enter_context(entered(FLOW_RUN, run))
        stack.enter_context(entered(TASK_RUN, context))
        stack.enter_context(entered(TAGS, call.tags))
        if call.log_prints:
            stack.enter_context(printing_as_logs())
        stack.callback(run.stop_runner)
        try:
            value = _called(call, session, Invoke(fn, args, kwargs, isasync=call.task.isasync, timeout=call.timeout))
            if context.submitted is not None or run.tally.open:
                WaitFor([future for future in inputs.futures_in(value) if not future.done]).run()
                value = inputs.to_states(value)
            Until(run.tally.when_done).run()
            return pack_value(value, call.task.name)
        except Timeout as over:
            return Outcome(timed_out=True, left_behind=over.left_behind)
        except BaseException as error:
            run.stop_children("the task that called it was stopped", TerminationSignal)
            return pack_error(error, _text_of(error))


def _called(call: RemoteCall, session: WorkerSession, invoke: Invoke) -> Any:
    code = Stoppable()
    try:
        with code:
            _register(call, code, session)
            return invoke.run()
    finally:
        with _lock:
            _running.pop(call.id, None)


def _register(call: RemoteCall, code: Stoppable, session: WorkerSession) -> None:
    """From now on the call can be stopped. Raises what stops it if that was asked for before."""
    session.check()
    with _lock:
        if call.id in _stopped:
            raise TerminationSignal("stopped before it began")
        _running[call.id] = code, session


def _stop_calls_of(session: WorkerSession) -> Callable[[type[BaseException]], None]:
    def stop(exception: type[BaseException]) -> None:
        with _lock:
            found = [code for code, owner in _running.values() if owner is session]
        for code in found:
            code.stop(exception)

    return stop


class _RemoteFlow:
    """A flow of which only the facts are here."""

    def __init__(self, facts: FlowFacts) -> None:
        for name in facts.__slots__:
            setattr(self, name, getattr(facts, name))

    def new_task_runner(self) -> ConcurrentTaskRunner:
        return ConcurrentTaskRunner()


class _RemoteTask:
    """A task of which the facts and the function are here."""

    def __init__(self, call: RemoteCall, fn: Callable[..., Any]) -> None:
        for name in call.task.__slots__:
            setattr(self, name, getattr(call.task, name))
        self.fn = fn


class _RemoteRecord:
    """What the context knows of a task run that is kept in the flow's process."""

    def __init__(self, call: RemoteCall) -> None:
        self._model = TaskRun.model_validate_json(call.model)
        self.id: UUID = self._model.id
        self.name = self._model.name
        self.flow_run_id: UUID = cast(UUID, self._model.flow_run_id)
        self.call = call.call
        self.number = call.number
        self.in_task = False
        self.tags = self._model.tags

    def as_model(self) -> TaskRun:
        return self._model


def _flow_run_context(
    facts: RunFacts, flow_runs: list[tuple[FlowFacts, FlowRun]], session: WorkerSession
) -> FlowRunContext:
    context: FlowRunContext | None = None
    for flow_facts, flow_run in reversed(flow_runs):
        flow = cast(FlowLike, _RemoteFlow(flow_facts))
        context = FlowRunContext(
            session=session,
            flow=flow,
            flow_run=flow_run,
            parameters=dict(flow_run.parameters),
            task_runner=flow.new_task_runner(),
            results=ResultStore.for_flow(flow, context.results if context else None),
            start_time=flow_run.start_time or moment(),
            log_prints=facts.log_prints,
            parent=context,
            task_retries=int(settings.get("PENSTOCK_TASK_DEFAULT_RETRIES")),
        )
    assert context is not None
    begin(context)
    return context


def _task_run_context(
    call: RemoteCall, run: FlowRunContext, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> TaskRunContext:
    import inspect

    arguments = inspect.signature(fn).bind(*args, **kwargs)
    arguments.apply_defaults()
    task = cast(TaskLike, _RemoteTask(call, fn))
    record = _RemoteRecord(call)
    return TaskRunContext(task, record, run, arguments.arguments, moment(), call.run_count, call.log_prints)


def _text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(*users_part(error)))
