"""Results of earlier task runs with an equal cache key, in place of running the task."""

from penstock.engine.context import TaskRunContext
from penstock.engine.protocols import TaskLike
from penstock.engine.steps import Steps
from penstock.model.states import State


def look_up(task: TaskLike, record: object, context: TaskRunContext) -> Steps[State | None]:
    """The state of the task run if an equal one has a result that is still valid: Completed, named Cached, with data.

    None: the task is to be run. Failed: its `cache_key_fn` raised. Called only when that is set, in the task's context.
    """
    return None
    yield


def cache_details(task: TaskLike, context: TaskRunContext, state: State) -> None:
    """Note in a Completed `state`, which `ResultStore.keep` has seen, under which key and until when it is valid."""
