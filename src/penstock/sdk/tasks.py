"""`task`: turns a function into a task, whose calls in a flow are runs with states, retries and futures."""

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

from penstock.sdk import options
from penstock.sdk.functions import Decorated
from penstock.sdk.options import Check, Hooks, check_names

if TYPE_CHECKING:
    from datetime import timedelta

    from penstock.engine.context import TaskRunContext
    from penstock.engine.futures import AsyncTaskRunFuture, TaskRunFuture
    from penstock.engine.protocols import Delays
    from penstock.model.states import State

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")

TaskHook = Callable[["Task[Any, Any]", Any, "State"], Any]


class TaskOptions(TypedDict, total=False):
    """All that can be said about a task. See `Task`."""

    name: str | None
    description: str | None
    tags: Iterable[str] | None
    version: str | None
    cache_key_fn: "Callable[[TaskRunContext, dict[str, Any]], str | None] | None"
    cache_expiration: "timedelta | None"
    task_run_name: str | Callable[[], str] | None
    retries: int | None
    retry_delay_seconds: "Delays | None"
    retry_jitter_factor: float | None
    persist_result: bool | None
    result_storage: Any
    result_storage_key: str | None
    result_serializer: Any
    cache_result_in_memory: bool | None
    timeout_seconds: float | None
    log_prints: bool | None
    refresh_cache: bool | None
    on_completion: Iterable[TaskHook] | None
    on_failure: Iterable[TaskHook] | None
    retry_condition_fn: "Callable[[Task[Any, Any], Any, State], bool] | None"
    viz_return_value: Any


_CHECKS: dict[str, Check] = {
    "name": options.text,
    "description": options.text,
    "tags": options.tags,
    "version": options.text,
    "cache_key_fn": options.function,
    "cache_expiration": options.period,
    "task_run_name": options.run_name,
    "retries": options.retries,
    "retry_delay_seconds": options.delays,
    "retry_jitter_factor": options.factor,
    "persist_result": options.switch,
    "result_storage": options.storage,
    "result_storage_key": options.text,
    "result_serializer": options.serializer,
    "cache_result_in_memory": options.switched_on,
    "timeout_seconds": options.timeout,
    "log_prints": options.switch,
    "refresh_cache": options.switch,
    "on_completion": options.hooks,
    "on_failure": options.hooks,
    "retry_condition_fn": options.function,
    "viz_return_value": options.anything,
}


class Task(Decorated[P, R], Generic[P, R]):
    """A function that flows call, submit or map.

    `name`: by default the function's. `description`: by default the docstring. `tags`: besides those of
    `penstock.tags` around the call. `task_run_name`: the name of each run, ``"load-{table}"`` with arguments filled
    in, or a function that returns it. `log_prints`: whether `print` makes log lines; by default as its flow.

    `retries` and `retry_delay_seconds`: how often a failed run is run again (PENSTOCK_TASK_DEFAULT_RETRIES), and
    after how long: one delay, a list with one for each retry, or a function of the number of retries that returns
    such a list. `retry_jitter_factor`: lengthens delays by chance, up to that factor of them. `retry_condition_fn`:
    called as ``fn(task, task_run, state)`` after a failure; only if it returns True, the run is run again.
    `timeout_seconds`: a run that takes longer fails as TimedOut.

    `cache_key_fn`: called as ``fn(context, arguments)`` before the run; a run whose key has been completed before
    gets that result and is not run. `cache_expiration`: for how long a result is taken from the cache.
    `refresh_cache`: run all the same, and replace what is in the cache (PENSTOCK_TASKS_REFRESH_CACHE).

    `persist_result`, `cache_result_in_memory`: as for flows. `result_storage`, `result_serializer`: by default as its
    flow. `result_storage_key`: the name of the result in its storage, ``"{parameters[table]}.json"``.

    `on_completion`, `on_failure`: functions that are called as ``hook(task, task_run, state)`` when the run has
    ended so. As decorators they add one. `viz_return_value`: taken for compatibility, and kept.
    """

    _kind = "task"
    _checks = _CHECKS
    _resettable = frozenset(
        {
            "retries",
            "retry_delay_seconds",
            "retry_jitter_factor",
            "persist_result",
            "result_storage",
            "result_serializer",
            "result_storage_key",
            "log_prints",
            "refresh_cache",
        }
    )

    tags: frozenset[str]
    version: str | None
    cache_key_fn: "Callable[[TaskRunContext, dict[str, Any]], str | None] | None"
    cache_expiration: "timedelta | None"
    task_run_name: str | Callable[[], str] | None
    retries: int | None
    retry_delay_seconds: "Delays"
    retry_jitter_factor: float | None
    persist_result: bool | None
    result_storage: Any
    result_storage_key: str | None
    result_serializer: Any
    cache_result_in_memory: bool
    timeout_seconds: float | None
    log_prints: bool | None
    refresh_cache: bool | None
    on_completion: Hooks
    on_failure: Hooks
    retry_condition_fn: "Callable[[Task[Any, Any], Any, State], bool] | None"
    viz_return_value: Any

    def __init__(self, fn: Callable[P, R], **options: Unpack[TaskOptions]) -> None:
        super().__init__(fn, **options)
        self.task_key = f"{getattr(self.fn, '__module__', '?')}.{getattr(self.fn, '__qualname__', self.name)}"

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> "Task[P, R]": ...

    @overload
    def __get__(self: "Task[Concatenate[Any, Q], R]", instance: object, owner: type | None = None) -> "Task[Q, R]": ...

    def __get__(self, instance: object, owner: type | None = None) -> "Task[Any, R]":
        return self._bound(instance, owner)

    def with_options(self, **changes: Unpack[TaskOptions]) -> "Task[P, R]":
        """The same task with other options; those not given stay as they are."""
        return self._with_options(changes)

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __call__(
        self: "Task[P, Coroutine[Any, Any, T]]", *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> "Coroutine[Any, Any, State]": ...

    @overload
    def __call__(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> "State": ...

    @overload
    def __call__(self, *args: Any, wait_for: Iterable[Any], **kwargs: Any) -> R: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, here and now: its return value. If it fails, its exception is raised.

        Futures among the arguments are replaced by their results. `wait_for`: futures that have to complete before.
        With `return_state` you get the final state instead. Raises MissingContext outside of a flow.
        """
        from penstock.engine.task_calls import call_task

        return_state, wait_for = kwargs.pop("return_state", False), kwargs.pop("wait_for", None)
        __tracebackhide__ = True  # pytest and IPython leave this frame out
        try:
            return call_task(self, args, kwargs, return_state=return_state, wait_for=wait_for)
        except BaseException as error:
            from penstock.engine.tracebacks import cut_to_users

            cut_to_users(error)
            raise

    @overload
    def submit(
        self: "Task[P, Coroutine[Any, Any, T]]", *args: Any, return_state: Literal[False] = False, **kwargs: Any
    ) -> "AsyncTaskRunFuture[T]": ...

    @overload
    def submit(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> Any: ...

    @overload
    def submit(self, *args: Any, return_state: Literal[False] = False, **kwargs: Any) -> "TaskRunFuture[R]": ...

    def submit(
        self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any
    ) -> Any:
        """Have the flow's task runner run the task beside the flow: a future.

        The task starts when the futures among its arguments and in `wait_for` have ended, and fails as
        UpstreamFailed if one of them did not complete, unless that stands in `allow_failure`. With `return_state`,
        waits and gives the final state.
        """
        from penstock.engine.task_calls import submit_task

        return submit_task(self, args, kwargs, return_state=return_state, wait_for=wait_for)

    def map(self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """Submit the task once for each element of its iterable arguments: a list of futures.

        They must be of one length; what every call shall get as a whole stands in `unmapped`.
        """
        from penstock.engine.task_calls import map_task

        return map_task(self, args, kwargs, return_state=return_state, wait_for=wait_for)


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """For `retry_delay_seconds`: `backoff_factor` seconds before the first retry, twice as long before each further one."""

    def delays(retries: int) -> list[float]:
        return [backoff_factor * 2.0**n for n in range(retries)]

    return delays


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(fn: None = None, /, **options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(fn: Callable[..., Any] | None = None, /, **options: Unpack[TaskOptions]) -> Any:
    """Decorator that makes a `Task` of a function: ``@task`` or ``@task(retries=3)``. Options: see `Task`."""
    if fn is not None:
        return Task(fn, **options)
    check_names(options, Task._checks, "@task")
    return lambda function: Task(function, **options)
