"""Cache keys from the arguments of a task."""

from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.engine.context import TaskRunContext


def hash_objects(*args: Any, **kwargs: Any) -> str | None:
    """32 hexadecimal digits that are equal in every process for equal values; None for one that cannot be pickled."""
    from penstock.errors import SerializationError
    from penstock.results.hashing import hash_of

    try:
        return hash_of(args, kwargs)
    except SerializationError:
        return None


def task_input_hash(context: "TaskRunContext", arguments: dict[str, Any]) -> str | None:
    """For `cache_key_fn`: a key that changes with the task, its code and its arguments, wherever it is called.

    None, so that nothing is cached, if an argument cannot be hashed; the log of the run says which.
    """
    from penstock.errors import SerializationError
    from penstock.results.hashing import code_hash, hash_of

    task = context.task
    # what a method is bound to is an argument too, only not one by name
    holder = task.fn.__self__ if isinstance(task.fn, MethodType) else None
    found = [task.task_key, code_hash(task.fn)]
    for name, value in (("self", holder), *arguments.items()):
        try:
            found.append(hash_of(name, value))
        except SerializationError as error:
            _tell(context, f"Not cached, because the argument {name!r} cannot be hashed: {error}")
            return None
    return hash_of(found)


def _tell(context: "TaskRunContext", text: str) -> None:
    from penstock.engine.run_logs import logger_of

    logger_of(context).warning("%s", text)
