"""`flow`: turns a function into a flow, whose every call is a run that the server accounts for."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

from penstock.sdk.functions import (
    check_function,
    check_options,
    check_retries,
    check_seconds,
    description_of,
    file_hash,
    is_async,
    name_of,
    signature_of,
)

if TYPE_CHECKING:
    from inspect import Signature

    from penstock.engine.protocols import TaskRunner
    from penstock.model.states import State

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


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
    validate_parameters: bool
    log_prints: bool | None


class Flow(Generic[P, R]):
    """A function whose calls are runs.

    `name`: by default the function's, with dashes. `version`: by default a hash of the file it is in.
    `flow_run_name`: the name of each run, ``"report-{day}"`` with parameters filled in, or a function that returns
    it. `retries`, `retry_delay_seconds`: how often, and after how long, a failed run is run again
    (PENSTOCK_FLOW_DEFAULT_RETRIES). `task_runner`: runs submitted tasks; by default a `ConcurrentTaskRunner`.
    `description`: by default the docstring. `timeout_seconds`: a run that takes longer fails as TimedOut.
    `validate_parameters`: whether arguments are checked against the annotations, and converted. `log_prints`:
    whether `print` makes log lines (PENSTOCK_LOGGING_LOG_PRINTS).
    """

    def __init__(
        self,
        fn: Callable[P, R],
        name: str | None = None,
        version: str | None = None,
        flow_run_name: str | Callable[[], str] | None = None,
        retries: int | None = None,
        retry_delay_seconds: float | None = None,
        task_runner: "TaskRunner | type[TaskRunner] | None" = None,
        description: str | None = None,
        timeout_seconds: float | None = None,
        validate_parameters: bool = True,
        log_prints: bool | None = None,
    ) -> None:
        check_function(fn, "flow")
        self._options: FlowOptions = {
            "name": name,
            "version": version,
            "flow_run_name": flow_run_name,
            "retries": retries,
            "retry_delay_seconds": retry_delay_seconds,
            "task_runner": task_runner,
            "description": description,
            "timeout_seconds": timeout_seconds,
            "validate_parameters": validate_parameters,
            "log_prints": log_prints,
        }
        self.fn: Callable[..., Any] = fn
        update_wrapper(self, fn)
        self.name = name_of(fn, name, "flow")
        self.description = description_of(fn, description)
        self.isasync = is_async(fn)
        self.flow_run_name = flow_run_name
        self.retries = check_retries(retries)
        self.retry_delay_seconds = check_seconds(retry_delay_seconds, "retry_delay_seconds") or 0.0
        self.timeout_seconds = check_seconds(timeout_seconds, "timeout_seconds")
        self.should_validate_parameters = validate_parameters
        self.log_prints = log_prints
        self.task_runner = task_runner
        self._version = version
        self._signature: Signature | None = None

    @property
    def version(self) -> str | None:
        if self._version is None:
            self._version = file_hash(self.fn)
        return self._version

    @property
    def signature(self) -> "Signature":
        if self._signature is None:
            self._signature = signature_of(self.fn)
        return self._signature

    def with_options(self, **changes: Unpack[FlowOptions]) -> "Flow[P, R]":
        """The same flow with other options; those not given stay as they are."""
        options: FlowOptions = {**self._options, **changes}
        return type(self)(self.fn, **options)

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
        return call_flow(self, args, kwargs, return_state=return_state, wait_for=wait_for)

    def __repr__(self) -> str:
        return f"<Flow {self.name!r}>"


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...


@overload
def flow(fn: None = None, /, **options: Unpack[FlowOptions]) -> Callable[[Callable[P, R]], Flow[P, R]]: ...


def flow(fn: Callable[..., Any] | None = None, /, **options: Unpack[FlowOptions]) -> Any:
    """Decorator that makes a `Flow` of a function: ``@flow`` or ``@flow(name=…, retries=…)``. Options: see `Flow`."""
    if fn is not None:
        return Flow(fn, **options)
    check_options(options, FlowOptions.__annotations__, "flow")
    return lambda function: Flow(function, **options)
