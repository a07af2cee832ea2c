"""What the engine knows of a flow and a task: these attributes, whatever class they come from."""

from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from enum import Enum
from inspect import Signature
from typing import Any, ClassVar, Protocol
from uuid import UUID

from penstock.model.task_runs import TaskRun

Delays = float | Sequence[float] | Callable[[int], Sequence[float]]
#: Called as ``hook(flow, flow_run, state)`` or ``hook(task, task_run, state)``.
Hook = Callable[[Any, Any, Any], Any]
#: Called with what steps returned, or None and what they raised.
OnEnd = Callable[[Any, BaseException | None], None]


class AsyncSlots(Protocol):
    """Room for so many asynchronous tasks. See `penstock.engine.task_runners.AsyncSlots`."""

    async def acquire(self) -> None: ...

    def release(self) -> None: ...

    def lend(self) -> None: ...

    def take_back(self) -> None: ...


class TaskRunner(Protocol):
    """Runs submitted tasks of one flow run. `penstock.engine.task_runners.BaseTaskRunner` says what each does."""

    @property
    def name(self) -> str: ...

    @property
    def concurrency_type(self) -> Enum: ...

    #: whether tasks leave this process: then `carry_out` is called in place of `submit`
    remote: ClassVar[bool]
    #: whether asynchronous tasks of a synchronous flow run in the shared event loop, without `submit`
    uses_loop: ClassVar[bool]

    def start(self) -> None: ...

    def submit(self, work: Callable[[], None]) -> None: ...

    def carry_out(self, steps: Generator[Any, Any, Any], on_end: OnEnd) -> None: ...

    def async_slots(self) -> AsyncSlots | None: ...

    def stop(self) -> None: ...

    def interrupt(self, exception: type[BaseException]) -> None: ...

    def duplicate(self) -> "TaskRunner": ...


class FlowLike(Protocol):
    fn: Callable[..., Any]
    name: str
    description: str | None
    isasync: bool
    flow_run_name: str | Callable[[], str] | None
    retries: int | None
    retry_delay_seconds: float
    timeout_seconds: float | None
    should_validate_parameters: bool
    persist_result: bool | None
    result_storage: Any
    result_serializer: Any
    cache_result_in_memory: bool
    log_prints: bool | None

    @property
    def version(self) -> str | None: ...

    @property
    def signature(self) -> Signature: ...

    @property
    def on_completion(self) -> Sequence[Hook]: ...

    @property
    def on_failure(self) -> Sequence[Hook]: ...

    @property
    def on_cancellation(self) -> Sequence[Hook]: ...

    @property
    def on_crashed(self) -> Sequence[Hook]: ...

    @property
    def on_running(self) -> Sequence[Hook]: ...

    def new_task_runner(self) -> TaskRunner: ...


class TaskLike(Protocol):
    fn: Callable[..., Any]
    name: str
    task_key: str
    description: str | None
    version: str | None
    isasync: bool
    tags: frozenset[str]
    task_run_name: str | Callable[[], str] | None
    retries: int | None
    retry_delay_seconds: Delays
    retry_jitter_factor: float | None
    retry_condition_fn: Callable[..., Any] | None
    cache_key_fn: Callable[..., Any] | None
    cache_expiration: timedelta | None
    refresh_cache: bool | None
    persist_result: bool | None
    result_storage: Any
    result_storage_key: str | None
    result_serializer: Any
    cache_result_in_memory: bool
    timeout_seconds: float | None
    log_prints: bool | None

    @property
    def signature(self) -> Signature: ...

    @property
    def on_completion(self) -> Sequence[Hook]: ...

    @property
    def on_failure(self) -> Sequence[Hook]: ...


class TaskRunInfo(Protocol):
    """What a future tells of its task run."""

    id: UUID
    name: str
    flow_run_id: UUID
    #: whether a task has called it, not the flow itself
    in_task: bool


class TaskRunRecord(TaskRunInfo, Protocol):
    """What its context knows of a task run. `call`: task key and dynamic key, which tell it apart from all others.

    `number`: which call it was, as it stands in its name: ``3`` for a call by the flow, ``3.0`` for the first one by
    that task run.
    """

    call: tuple[str, str]
    number: str

    def as_model(self) -> TaskRun:
        """As the server will know it."""
