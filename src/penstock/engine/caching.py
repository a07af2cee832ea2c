"""Results of earlier task runs in place of running the task: those with an equal cache key, and those of an earlier try."""

from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from penstock import clock, settings
from penstock.client import task_runs
from penstock.engine import outcomes
from penstock.engine.context import TaskRunContext
from penstock.engine.moments import moment
from penstock.engine.protocols import TaskLike
from penstock.engine.run_logs import logger_of
from penstock.engine.session import Session
from penstock.engine.steps import Blocking, Steps
from penstock.engine.tracebacks import users_part
from penstock.errors import APIError, ConfigurationError, PenstockError
from penstock.model.results import Reference, Result, read_reference
from penstock.model.states import State, StateDetails, StateType

#: Longest cache key in characters.
LONGEST_KEY = 2000
#: Seconds for which a server that does not answer is asked; then the task is run, as if nothing had been found.
ASKED_SECONDS = 15.0


class Known(NamedTuple):
    """A result that was written down under a cache key."""

    reference: dict[str, Any]
    expiration: datetime | None


#: So many results of its own a session finds without asking: more than can be under way to the server.
REMEMBERED = 10_000

#: What the runs of a session have written themselves: found before its report has arrived. Values are not kept here.
_written: "WeakKeyDictionary[Session, dict[str, Known]]" = WeakKeyDictionary()


def look_up(task: TaskLike, record: object, context: TaskRunContext) -> Steps[State | None]:
    """The state of the task run if an equal one has a result that is still valid: Completed, named Cached, with data.

    None: the task is to be run. Failed: its `cache_key_fn` raised. Called only when that is set, in the task's context.
    """
    assert task.cache_key_fn is not None
    try:
        key = _checked(task.cache_key_fn(context, context.parameters))
    except Exception as error:
        logger_of(context).error("cache_key_fn raised an exception", exc_info=users_part(error))
        return outcomes.failed(error)
    if key is None:
        return None
    context.cache_key = key
    refresh = settings.get("PENSTOCK_TASKS_REFRESH_CACHE") if task.refresh_cache is None else task.refresh_cache
    if refresh:
        return None
    found: State | None = yield Blocking(lambda: _find(key, task, context))
    return found


def cache_details(task: TaskLike, context: TaskRunContext, state: State) -> None:
    """Note in a Completed `state`, which `ResultStore.keep` has seen, under which key and until when it is valid."""
    key = context.cache_key
    if key is None or not isinstance(state.data, Result):
        return
    expiration = None if task.cache_expiration is None else moment() + task.cache_expiration
    state.state_details = state.state_details.model_copy(update={"cache_key": key, "cache_expiration": expiration})
    written = _written.setdefault(context.flow_run_context.session, {})
    written.pop(key, None)
    written[key] = Known(state.data.reference, expiration)
    if len(written) > REMEMBERED:
        written.pop(next(iter(written)), None)


def _checked(key: Any) -> str | None:
    if key is None or (isinstance(key, str) and len(key) <= LONGEST_KEY):
        return key
    if isinstance(key, str):
        raise ConfigurationError(
            f"cache_key_fn returned a text of {len(key)} characters; a cache key has at most {LONGEST_KEY}",
            hint="Hash it: penstock.tasks.task_input_hash does that with all arguments.",
        )
    raise ConfigurationError(
        f"cache_key_fn returned {type(key).__name__}; it must return a str, or None for a call that is not cached"
    )


def _find(key: str, task: TaskLike, context: TaskRunContext) -> State | None:
    """The result under `key`, if there is one that can be read."""
    run = context.flow_run_context
    known = _written.get(run.session, {}).get(key)
    if known is None or not _is_valid(known):
        known = _ask(key, context)
    if known is None:
        return None
    try:
        value = read_reference(known.reference)
    except PenstockError as error:
        logger_of(context).warning("The cached result cannot be used, so the task is run: %s", error)
        return None
    details = StateDetails(cache_key=key, cache_expiration=known.expiration)
    data = Result(known.reference, value) if task.cache_result_in_memory else Result(known.reference)
    return State(type=StateType.COMPLETED, name="Cached", data=data, state_details=details)


def _is_valid(known: Known) -> bool:
    return known.expiration is None or known.expiration > clock.now()


def _ask(key: str, context: TaskRunContext) -> Known | None:
    """What the server has under `key`. A server that does not answer costs a run of the task, and not the flow."""
    client = context.flow_run_context.session.client
    try:
        state = client.send(task_runs.read_cached_state(key), deadline=clock.monotonic() + ASKED_SECONDS)
    except APIError as error:
        logger_of(context).warning("The server could not be asked for a cached result, so the task is run: %s", error)
        return None
    if state is None or not isinstance(state.data, Reference) or state.data.get("type") == "unpersisted":
        return None
    return Known(dict(state.data), state.state_details.cache_expiration)
