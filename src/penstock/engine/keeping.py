"""Results of runs are written down when they end, and taken over when their flow run is tried again in another process."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from penstock import clock
from penstock.client.patience import LONGEST_WAIT
from penstock.engine import caching, names, outcomes
from penstock.engine.context import FlowRunContext, TaskRunContext
from penstock.engine.moments import moment
from penstock.engine.protocols import TaskLike
from penstock.engine.run_logs import logger_of
from penstock.engine.steps import Blocking, Sleep, Steps
from penstock.errors import PenstockError, Unreachable
from penstock.model.reasons import Reason
from penstock.model.results import Reference, Result, read_reference
from penstock.model.states import State, StateType
from penstock.results.store import ResultStore


class EndedBefore(Protocol):
    """A call that an earlier try of the flow run has made. See `penstock.engine.task_run_records.TaskRun`."""

    name: str
    kept: State | None

    def retry_at(self, time: Any) -> None: ...


def prepare(results: ResultStore, run: FlowRunContext | TaskRunContext) -> Steps[State | None]:
    """Find out where results go before there is one. Returns the state in which the run ends if that is nowhere.

    A server that is away, which knows the storage, is waited for like in all else.
    """
    session = run.session if isinstance(run, FlowRunContext) else run.flow_run_context.session
    since, wait = clock.monotonic(), 0.2
    while True:
        try:
            yield Blocking(results.prepare)
            return None
        except Exception as error:
            if not isinstance(error, Unreachable) or clock.monotonic() - since > session.loss_seconds:
                logger_of(run).error("There is no place for the result: %s", error)
                return outcomes.failed(error, reason=Reason.CONFIGURATION_INVALID)
        session.check()
        yield Sleep(wait)
        wait = min(LONGEST_WAIT, 2 * wait)


def keep_flows(run: FlowRunContext, state: State) -> Steps[State]:
    """The final state of a flow run, its result written down; or a Failed one that says why that could not be done."""
    return (yield from _keep(partial(run.results.keep, state, of=f"flow '{run.flow.name}'")))


def keep_tasks(task: TaskLike, context: TaskRunContext, results: ResultStore, state: State) -> Steps[State]:
    """The Completed state of a task run, its result written down; or a Failed one that says why that could not be done."""

    def keep() -> State:
        template = task.result_storage_key
        key = None if template is None else names.result_key(template, context)
        return results.keep(state, key, of=f"task '{task.name}'")

    kept: State = yield from _keep(keep)
    if task.cache_key_fn is not None:
        caching.cache_details(task, context, kept)
    return kept


def _keep(keep: Callable[[], State]) -> Steps[State]:
    try:
        kept: State = yield Blocking(keep)
    except Exception as error:
        return outcomes.failed(error, reason=Reason.RESULT_NOT_WRITTEN)
    return kept


def take_over(record: EndedBefore, run: FlowRunContext) -> Steps[State | None]:
    """The state in which an earlier try of the flow run has completed the call. None: it has to be made again.

    That is so if the result cannot be read here: it lies on another machine, or was removed.
    """
    kept = record.kept
    if kept is None or not isinstance(kept.data, Reference):
        return kept
    reference = kept.data
    try:
        value = yield Blocking(lambda: read_reference(reference))
    except PenstockError as error:
        logger_of(run).warning("'%s' has completed before, but is run again: %s", record.name, error)
        record.kept = None
        record.retry_at(moment())
        return None
    return kept.model_copy(update={"data": Result(dict(reference), value)})


def can_be_taken_over(state: State | None) -> bool:
    """Whether `state`, as the server has it, may have a result that another process can read."""
    if state is None or state.type is not StateType.COMPLETED or not isinstance(state.data, Reference):
        return False
    return state.data.get("type") in {"reference", "literal"}
