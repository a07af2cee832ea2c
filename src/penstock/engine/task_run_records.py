"""The story of one task run: its states, times and counts, told to the reporter as they happen."""

from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid4

from penstock.clock import monotonic
from penstock.engine import outcomes, wire
from penstock.engine.context import EarlierTaskRun, FlowRunContext, TaskRunContext
from penstock.engine.moments import moment
from penstock.model import task_runs as model
from penstock.model.reasons import Reason
from penstock.model.states import TERMINAL, State, StateType
from penstock.model.transitions import RERUN_NAME, is_allowed


class TaskRun:
    """The story of one task run, told to the reporter as it happens."""

    __slots__ = (
        "_reporter",
        "_started",
        "call",
        "dynamic_key",
        "flow_run_id",
        "given_up",
        "id",
        "id_text",
        "in_task",
        "kept",
        "name",
        "number",
        "run_count",
        "tags",
        "total_run_time",
        "type",
    )

    def __init__(
        self, run: FlowRunContext, parent: TaskRunContext | None, key: str, name: str, create: wire.JSON
    ) -> None:
        if parent is None:
            self.number = self.dynamic_key = str(run.next_call(key))
        else:
            self.number, self.dynamic_key = _nested(parent, key)
        self.in_task = parent is not None
        self.call = (key, self.dynamic_key)
        self.tags: list[str] = create["tags"]
        self.flow_run_id: UUID = run.flow_run.id
        self.run_count = 0
        self.total_run_time = 0.0
        self.kept: State | None = None
        self.type: StateType | None = None
        #: why nobody waits for it any longer
        self.given_up: str | None = None
        self._started: float | None = None
        self._reporter = run.session.reporter
        earlier = run.earlier.get(self.call) if run.earlier else None
        if earlier is None:
            self.id = uuid4()
            self.id_text = str(self.id)
            self.name = f"{name}-{self.number}"
            create.update(
                id=self.id_text, name=self.name, flow_run_id=run.id_text, task_key=key, dynamic_key=self.dynamic_key
            )
            self.enter(StateType.PENDING, create=create)
        else:
            self._take_over(earlier)

    def _take_over(self, earlier: EarlierTaskRun) -> None:
        """An earlier try of the flow run has made this call: go on with its task run."""
        self.id, self.id_text, self.name = earlier.id, str(earlier.id), earlier.name
        self.type, self.run_count, self.total_run_time = earlier.type, earlier.run_count, earlier.total_run_time
        if earlier.state is not None and earlier.state.type is StateType.COMPLETED:
            self.kept = earlier.state
        elif self.type in TERMINAL:
            self.retry_at(moment())

    def enter(
        self,
        kind: StateType,
        *,
        name: str | None = None,
        message: str | None = None,
        details: wire.JSON | None = None,
        **facts: Any,
    ) -> datetime:
        """The run goes to a state of that type now. `facts` are further keys of the report."""
        assert is_allowed(self.type, kind, name), f"{self.type} -> {kind}"
        timestamp = moment()
        state = wire.state(str(uuid4()), kind, timestamp, name=name, message=message, details=details)
        self._reporter.task_run(self.id_text, {**facts, "states": [state]})
        self.type = kind
        return timestamp

    def running(self) -> datetime:
        self.run_count += 1
        self._started = monotonic()
        facts: wire.JSON = {"run_count": self.run_count}
        timestamp = self.enter(StateType.RUNNING, name="Retrying" if self.run_count > 1 else None, **facts)
        if self.run_count == 1:
            self._reporter.task_run(self.id_text, {"start_time": timestamp.isoformat()})
        return timestamp

    def renamed(self, name: str) -> None:
        self.name = name
        self._reporter.task_run(self.id_text, {"name": name})

    def retry_at(self, time: datetime) -> None:
        self._count_time()
        self.enter(
            StateType.SCHEDULED,
            name=RERUN_NAME,
            details=wire.scheduled_details(time),
            total_run_time=self.total_run_time,
        )

    def finish(self, state: State) -> None:
        """The run has ended in `state`, which may hold its result or exception: these stay here.

        What ends after it was given up (`abandon`) has been accounted for already.
        """
        if self.type in TERMINAL:
            return
        assert is_allowed(self.type, state.type), f"{self.type} -> {state.type}"
        self._count_time()
        self.type = state.type
        timestamp = state.timestamp = moment()
        report: wire.JSON = {"states": [wire.final_state(state, timestamp)], "end_time": timestamp.isoformat()}
        report["total_run_time"] = self.total_run_time
        self._reporter.task_run(self.id_text, report)

    def running_child(self, child_id: UUID) -> None:
        """The run is the place of a subflow run, which runs now."""
        self.run_count += 1
        self._started = monotonic()
        details = {"child_flow_run_id": str(child_id)}
        timestamp = self.enter(StateType.RUNNING, details=details, run_count=self.run_count)
        self._reporter.task_run(self.id_text, {"start_time": timestamp.isoformat()})

    def remember(self, run: FlowRunContext, state: State) -> None:
        """Keep the outcome for a later try of the flow run, if there may be one."""
        if run.remembers:
            run.earlier[self.call] = EarlierTaskRun(
                self.id, self.name, state.type, self.run_count, self.total_run_time, state
            )

    def as_model(self) -> model.TaskRun:
        """As the server will know it."""
        return model.TaskRun(
            id=self.id,
            name=self.name,
            flow_run_id=self.flow_run_id,
            task_key=self.call[0],
            dynamic_key=self.dynamic_key,
            tags=self.tags,
            state_type=self.type,
            run_count=self.run_count,
            total_run_time=self.total_run_time,
        )

    def abandon(self, why: str) -> None:
        """The run could not be stopped, and nobody waits for it any longer. If it has not begun yet, it never does."""
        self.given_up = why
        self.finish(outcomes.crashed(f"Still running when {why}", Reason.SIGNALLED))

    def _count_time(self) -> None:
        if self._started is not None:
            self.total_run_time += monotonic() - self._started
            self._started = None


def _nested(parent: TaskRunContext, key: str) -> tuple[str, str]:
    """Number and dynamic key of the next call of `key` in that task run.

    They depend on nothing but the calls before it in the same task run, so that a later try of the flow run finds it
    again; and no call of the flow itself, or of another task run, has this dynamic key.
    """
    call = parent.next_call(key)
    digest = blake2b("\n".join(parent.record.call).encode(), digest_size=10).hexdigest()
    return f"{parent.record.number}.{call}", f"{digest}-{call}"
