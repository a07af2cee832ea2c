"""What runs now: the flow run and task run around the calling code, kept in context variables."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.engine.protocols import FlowLike, TaskLike, TaskRunner, TaskRunRecord
from penstock.engine.session import Session
from penstock.errors import MissingContext
from penstock.model.flow_runs import FlowRun
from penstock.model.states import State, StateType
from penstock.model.task_runs import TaskRun
from penstock.results.store import ResultStore


class Tally:
    """How the task runs and subflow runs that a flow has called ended, and how many in it go on. Keeps no results.

    What a task has called is waited for, but counts for nothing: what it means is the task's to say.
    """

    def __init__(self) -> None:
        self.counts: dict[StateType, int] = {}
        self.first_failure: State | None = None
        self.open = 0
        self._changed = threading.Lock()
        self._when_done: list[Callable[[], None]] = []

    def opened(self) -> None:
        with self._changed:
            self.open += 1

    def closed(self, state: State | None) -> None:
        """One of the opened ones has ended, in `state` if it counts."""
        if state is not None:
            self.count(state)
        with self._changed:
            self.open -= 1
            waiting = self._when_done if self.open == 0 else []
            if waiting:
                self._when_done = []
        for wake in waiting:
            wake()

    def count(self, state: State) -> None:
        with self._changed:
            self.counts[state.type] = self.counts.get(state.type, 0) + 1
            if self.first_failure is None and state.type in {StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}:
                self.first_failure = state

    def when_done(self, wake: Callable[[], None]) -> None:
        """Call `wake` when nothing is open any more: at once if that is so now."""
        with self._changed:
            if self.open:
                self._when_done.append(wake)
                return
        wake()


@dataclass(slots=True)
class EarlierTaskRun:
    """A task run that an earlier try of the same flow run has made. `state` is there if that was in this process."""

    id: UUID
    name: str
    type: StateType | None
    run_count: int = 0
    total_run_time: float = 0.0
    state: State | None = None


@dataclass(slots=True, eq=False, weakref_slot=True)
class FlowRunContext:
    """One try of a flow run. `earlier`: (task key, dynamic key) -> what an earlier try has made of that call."""

    session: Session
    flow: FlowLike
    flow_run: FlowRun
    parameters: dict[str, Any]
    task_runner: TaskRunner
    results: ResultStore
    start_time: datetime
    log_prints: bool = False
    parent: "FlowRunContext | None" = None
    tally: Tally = field(default_factory=Tally)
    earlier: dict[tuple[str, str], EarlierTaskRun] = field(default_factory=dict)
    #: retries of tasks that say nothing else
    task_retries: int = 0
    #: whether this try's task runs are remembered for the next one
    remembers: bool = False
    #: the last future of an asynchronous task, which the next one waits for if they run one by one
    submitted: list[Any] = field(default_factory=list)
    #: asynchronous tasks that were submitted and go on
    async_tasks: set[Any] = field(default_factory=set)
    #: why what was submitted and has not begun is not to begin any more
    stopping: str | None = None
    #: submitted task runs that go on, by id
    open_runs: dict[UUID, Any] = field(default_factory=dict)
    #: the run's id as it is written into every report
    id_text: str = ""
    _calls: dict[str, int] = field(default_factory=dict)
    _runner_started: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.id_text = str(self.flow_run.id)

    @staticmethod
    def get() -> "FlowRunContext | None":
        """The flow run around the calling code, also around a task of it; None outside of a flow."""
        return FLOW_RUN.get()

    @property
    def isasync(self) -> bool:
        """Whether the code that runs here awaits what is asynchronous."""
        return self.flow.isasync

    def next_call(self, key: str) -> int:
        """How often `key` was called before in this try: what tells the calls of one task apart."""
        with self.lock:
            number = self._calls.get(key, 0)
            self._calls[key] = number + 1
        return number

    def runner(self) -> TaskRunner:
        """The task runner, started."""
        with self.lock:
            if not self._runner_started:
                self.task_runner.start()
                self._runner_started = True
        return self.task_runner

    def stop_runner(self) -> None:
        if self._runner_started:
            self.task_runner.stop()

    def begin_try(self) -> None:
        """Forget what an earlier try has counted."""
        self.tally = Tally()
        self.stopping = None
        self._calls.clear()

    def stop_children(self, why: str, exception: type[BaseException]) -> None:
        """Nothing submitted begins any more, and what runs is interrupted, as far as it can be. Waits for nothing."""
        self.stopping = why
        if self._runner_started:
            self.task_runner.interrupt(exception)
        for task in list(self.async_tasks):
            task.cancel()


@dataclass(slots=True, eq=False)
class TaskRunContext:
    """One task run, in the flow run `flow_run_context`. `run_count` is the number of its try, from 1."""

    task: TaskLike
    record: TaskRunRecord
    flow_run_context: FlowRunContext
    parameters: dict[str, Any]
    start_time: datetime
    run_count: int
    log_prints: bool = False
    #: None if it has submitted nothing; else as that of the flow run
    submitted: list[Any] | None = None
    #: what `cache_key_fn` has made of the arguments, if it was asked
    cache_key: str | None = None
    _calls: dict[str, int] | None = None

    @staticmethod
    def get() -> "TaskRunContext | None":
        """The task run around the calling code; None outside of a task."""
        return TASK_RUN.get()

    @property
    def id(self) -> UUID:
        return self.record.id

    task_run_id = id  # noqa: A003 - as users of Prefect 2 know it

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def task_run(self) -> TaskRun:
        """The task run as the server will know it. Made anew each time."""
        return self.record.as_model()

    @property
    def isasync(self) -> bool:
        """Whether the code that runs here awaits what is asynchronous."""
        return self.task.isasync

    def next_call(self, key: str) -> int:
        """How often `key` was called before in this task run."""
        with self.flow_run_context.lock:
            if self._calls is None:
                self._calls = {}
            number = self._calls.get(key, 0)
            self._calls[key] = number + 1
        return number


FLOW_RUN: ContextVar[FlowRunContext | None] = ContextVar("penstock_flow_run", default=None)
TASK_RUN: ContextVar[TaskRunContext | None] = ContextVar("penstock_task_run", default=None)
TAGS: ContextVar[frozenset[str]] = ContextVar("penstock_tags", default=frozenset())
#: The file whose flows are being loaded, if that is so: calls of flows while it is imported are skipped.
LOADING: ContextVar[str | None] = ContextVar("penstock_loading", default=None)


def get_run_context() -> FlowRunContext | TaskRunContext:
    """The innermost run around the calling code. Raises MissingContext outside of one."""
    found = TASK_RUN.get() or FLOW_RUN.get()
    if found is None:
        raise MissingContext(
            "There is no run here: this was called outside of a flow or task.",
            hint="Call it from inside of a function decorated with @flow or @task, while it runs.",
        )
    return found


class TagsContext:
    """The tags of the surrounding `tags`."""

    __slots__ = ("current_tags",)

    def __init__(self, current_tags: Iterable[str]) -> None:
        self.current_tags = set(current_tags)

    @classmethod
    def get(cls) -> "TagsContext":
        return cls(TAGS.get())


@contextmanager
def entered(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    """Set a context variable for the body.

    Unlike a token, what was there before can be put back from another context: generators that are closed late do that.
    """
    before = variable.get()
    variable.set(value)
    try:
        yield
    finally:
        variable.set(before)


@contextmanager
def tags(*new_tags: str) -> Iterator[set[str]]:
    """Tag every flow run and task run that is called in the body, besides the tags of an outer `tags`.

    Yields all of them.
    """
    together = TAGS.get().union(new_tags)
    with entered(TAGS, together):
        yield set(together)


def all_tags(own: Iterable[str]) -> list[str]:
    """`own` and those of the surrounding `tags`, in order."""
    around = TAGS.get()
    return sorted(around.union(own)) if around else sorted(own)
