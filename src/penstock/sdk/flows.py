"""`flow`: turns a function into a flow, whose every call is a run that the server accounts for."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

from penstock.sdk import options
from penstock.sdk.functions import Decorated, file_hash
from penstock.sdk.options import Check, Hooks, check_names

if TYPE_CHECKING:
    from penstock.engine.protocols import TaskRunner
    from penstock.model.states import State

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")

FlowHook = Callable[["Flow[Any, Any]", Any, "State"], Any]


class FlowOptions(TypedDict, total=False):
    """All that can be said about a flow. See `Flow`."""

    name: str | None
    version: str | None
    flow_run_name: str | Callable[[], str] | None
    retries: int | None
    retry_delay_seconds: float | None
    task_runner: "TaskRunner | type[TaskRunner] | None"
    description: str | None
    timeout_seconds: float | None
    validate_parameters: bool | None
    persist_result: bool | None
    result_storage: Any
    result_serializer: Any
    cache_result_in_memory: bool | None
    log_prints: bool | None
    on_completion: Iterable[FlowHook] | None
    on_failure: Iterable[FlowHook] | None
    on_cancellation: Iterable[FlowHook] | None
    on_crashed: Iterable[FlowHook] | None
    on_running: Iterable[FlowHook] | None


_CHECKS: dict[str, Check] = {
    "name": options.text,
    "version": options.text,
    "flow_run_name": options.run_name,
    "retries": options.retries,
    "retry_delay_seconds": options.seconds_or_zero,
    "task_runner": options.task_runner,
    "description": options.text,
    "timeout_seconds": options.timeout,
    "validate_parameters": options.switched_on,
    "persist_result": options.switch,
    "result_storage": options.storage,
    "result_serializer": options.serializer,
    "cache_result_in_memory": options.switched_on,
    "log_prints": options.switch,
    "on_completion": options.hooks,
    "on_failure": options.hooks,
    "on_cancellation": options.hooks,
    "on_crashed": options.hooks,
    "on_running": options.hooks,
}
_KEPT_AS = {"version": "_version", "validate_parameters": "should_validate_parameters"}


class Flow(Decorated[P, R], Generic[P, R]):
    """A function whose calls are runs.

    `name`: by default the function's, with dashes. `version`: by default a hash of the file it is in.
    `description`: by default the docstring. `flow_run_name`: the name of each run, ``"report-{day}"`` with parameters
    filled in, or a function that returns it.

    `retries`, `retry_delay_seconds`: how often, and after how long, a failed run is run again
    (PENSTOCK_FLOW_DEFAULT_RETRIES). `timeout_seconds`: a run that takes longer fails as TimedOut. `task_runner`: runs
    submitted tasks; by default a `ConcurrentTaskRunner`. `validate_parameters`: whether arguments are checked against
    the annotations, and converted. `log_prints`: whether `print` makes log lines (PENSTOCK_LOGGING_LOG_PRINTS).

    `persist_result`: whether results are written to `result_storage` by `result_serializer`; None: where something
    needs it. `cache_result_in_memory`: whether a written result also stays in memory.

    `on_running`, `on_completion`, `on_failure`, `on_cancellation`, `on_crashed`: functions that are called as
    ``hook(flow, flow_run, state)`` when the run has entered such a state. As decorators they add one.
    """

    _kind = "flow"
    _checks = _CHECKS
    _kept_as = _KEPT_AS
    _resettable = frozenset({"persist_result", "result_storage", "result_serializer", "log_prints"})

    flow_run_name: str | Callable[[], str] | None
    retries: int | None
    retry_delay_seconds: float
    task_runner: "TaskRunner | type[TaskRunner] | None"
    timeout_seconds: float | None
    should_validate_parameters: bool
    persist_result: bool | None
    result_storage: Any
    result_serializer: Any
    cache_result_in_memory: bool
    log_prints: bool | None
    on_completion: Hooks
    on_failure: Hooks
    on_cancellation: Hooks
    on_crashed: Hooks
    on_running: Hooks
    _version: str | None

    def __init__(self, fn: Callable[P, R], **options: Unpack[FlowOptions]) -> None:
        super().__init__(fn, **options)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> "Flow[P, R]": ...

    @overload
    def __get__(self: "Flow[Concatenate[Any, Q], R]", instance: object, owner: type | None = None) -> "Flow[Q, R]": ...

    def __get__(self, instance: object, owner: type | None = None) -> "Flow[Any, R]":
        return self._bound(instance, owner)

    @property
    def version(self) -> str | None:
        if self._version is None:
            self._version = file_hash(self.fn)
        return self._version

    def with_options(self, **changes: Unpack[FlowOptions]) -> "Flow[P, R]":
        """The same flow with other options; those not given stay as they are."""
        return self._with_options(changes)

    def new_task_runner(self) -> "TaskRunner":
        """A task runner for one run."""
        from penstock.engine.task_runners import ConcurrentTaskRunner

        given = self.task_runner
        if given is None:
            return ConcurrentTaskRunner()
        return given() if isinstance(given, type) else given.duplicate()

    def validate_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """`parameters`, by name, checked and converted as a run would do it.

        Raises ParameterError that names what is wrong.
        """
        from penstock.engine.parameters import from_names, validated, with_defaults

        what = f"flow '{self.name}'"
        return validated(self.fn, with_defaults(self.signature, from_names(self.signature, parameters, what)), what)

    def serialize_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """`parameters` as the server keeps them: JSON; what that cannot hold is replaced by a note of its type."""
        from penstock.engine.parameters import to_plain_json

        return to_plain_json(parameters)

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __call__(
        self: "Flow[P, Coroutine[Any, Any, T]]", *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> "Coroutine[Any, Any, State]": ...

    @overload
    def __call__(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> "State": ...

    @overload
    def __call__(self, *args: Any, wait_for: Iterable[Any], **kwargs: Any) -> R: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the flow: its return value.

        If it fails, its exception is raised; with `return_state` you get the final state instead.

        In another flow this is a subflow. `wait_for`: futures that have to complete before. Raises ParameterError,
        before there is any run, if the arguments do not fit.
        """
        from penstock.engine.flow_calls import call_flow

        return_state, wait_for = kwargs.pop("return_state", False), kwargs.pop("wait_for", None)
        __tracebackhide__ = True  # pytest and IPython leave this frame out
        try:
            return call_flow(self, args, kwargs, return_state=return_state, wait_for=wait_for)
        except BaseException as error:
            from penstock.engine.tracebacks import cut_to_users

            cut_to_users(error)
            raise


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...


@overload
def flow(fn: None = None, /, **options: Unpack[FlowOptions]) -> Callable[[Callable[P, R]], Flow[P, R]]: ...


def flow(fn: Callable[..., Any] | None = None, /, **options: Unpack[FlowOptions]) -> Any:
    """Decorator that makes a `Flow` of a function: ``@flow`` or ``@flow(name=…, retries=…)``. Options: see `Flow`."""
    if fn is not None:
        return Flow(fn, **options)
    check_names(options, Flow._checks, "@flow")
    return lambda function: Flow(function, **options)
