"""What the engine knows of a flow and a task: these attributes, whatever class they come from."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from inspect import Signature
from typing import Any, Protocol
from uuid import UUID

Delays = float | Sequence[float] | Callable[[int], Sequence[float]]
#: Called as ``hook(flow, flow_run, state)`` or ``hook(task, task_run, state)``.
Hook = Callable[[Any, Any, Any], Any]


class TaskRunner(Protocol):
    """Runs submitted tasks of one flow run. See `penstock.engine.task_runners`."""

    name: str

    def start(self) -> None:
        """Called once before the first submit."""

    def submit(self, work: Callable[[], None]) -> None:
        """Have `work` run once, soon, in the context that the caller has now. `work` raises nothing."""

    def stop(self) -> None:
        """Called once, when all submitted work is done or the run was interrupted. Waits for nothing."""

    def interrupt(self, exception: type[BaseException]) -> None:
        """Have `exception` raised in what runs now.

        What waits still runs: it finds out by itself that it may not begin.
        """

    def duplicate(self) -> "TaskRunner":
        """One like this, for another run."""


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
