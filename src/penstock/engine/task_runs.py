"""One task run, from its inputs to its final state. Decided here, by the same table of states that the server uses."""

from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from penstock.clock import monotonic
from penstock.engine import inputs, names, outcomes, wire
from penstock.engine.context import TASK_RUN, EarlierTaskRun, FlowRunContext, TaskRunContext, all_tags, entered
from penstock.engine.interruption import CancelRequested, Superseded
from penstock.engine.moments import moment
from penstock.engine.protocols import TaskLike
from penstock.engine.retries import delays_of, jittered
from penstock.engine.run_logs import logger_of, printing_as_logs
from penstock.engine.steps import Invoke, Sleep, Steps, Timeout
from penstock.engine.tracebacks import users_part
from penstock.errors import PenstockError
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
        "id",
        "id_text",
        "kept",
        "name",
        "run_count",
        "total_run_time",
        "type",
    )

    def __init__(self, run: FlowRunContext, key: str, name: str, create: wire.JSON) -> None:
        number = run.next_call(key)
        self.dynamic_key = str(number)
        self.call = (key, self.dynamic_key)
        self.flow_run_id: UUID = run.flow_run.id
        self.run_count = 0
        self.total_run_time = 0.0
        self.kept: State | None = None
        self.type: StateType | None = None
        self._started: float | None = None
        self._reporter = run.session.reporter
        earlier = run.earlier.get(self.call) if run.earlier else None
        if earlier is None:
            self.id = uuid4()
            self.id_text = str(self.id)
            self.name = f"{name}-{number}"
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
        self, kind: StateType, *, name: str | None = None, details: wire.JSON | None = None, **facts: Any
    ) -> datetime:
        """The run goes to a state of that type now. `facts` are further keys of the report."""
        assert is_allowed(self.type, kind, name), f"{self.type} -> {kind}"
        timestamp = moment()
        state = wire.state(str(uuid4()), kind, timestamp, name=name, details=details)
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

    def abandon(self, why: str) -> None:
        """The run could not be stopped, and nobody waits for it any longer."""
        self.finish(outcomes.crashed(f"Still running when {why}", Reason.SIGNALLED))

    def _count_time(self) -> None:
        if self._started is not None:
            self.total_run_time += monotonic() - self._started
            self._started = None


def create_task_run(task: TaskLike, run: FlowRunContext, arguments: dict[str, Any], wait_for: Iterable[Any]) -> TaskRun:
    """A task run for this call of `task`, Pending."""
    retries = retries_of(task, run)
    create: wire.JSON = {"tags": all_tags(task.tags)}
    if task.version is not None:
        create["task_version"] = task.version
    if retries:
        create["empirical_policy"] = _policy(task, retries)
    create["task_inputs"] = wire.task_inputs(sources_of(arguments, wait_for))
    return TaskRun(run, task.task_key, task.name, create)


def task_run_steps(
    task: TaskLike, record: TaskRun, run: FlowRunContext, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any
) -> Steps[State]:
    """Run the task, its inputs having ended. Returns the final state, which holds the result or the exception.

    Raises only what is no Exception: what stops the whole run.
    """
    if record.kept is not None:
        return record.kept
    if run.stopping is not None:
        state = outcomes.cancelled(f"Not run, because {run.stopping}")
        record.finish(state)
        return state
    try:
        args, kwargs = inputs.to_results((args, kwargs))
        inputs.check_upstream(wait_for or ())
        parameters = task.signature.bind(*args, **kwargs)
        parameters.apply_defaults()
        context = _context(task, record, run, parameters.arguments)
    except inputs.UpstreamFailed as upstream:
        state = upstream.state
    except PenstockError as error:
        state = outcomes.failed(error, reason=Reason.CONFIGURATION_INVALID)
    else:
        state = yield from _tries(task, record, context, args, kwargs)
    record.finish(state)
    record.remember(run, state)
    return state


def _tries(
    task: TaskLike, record: TaskRun, context: TaskRunContext, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Steps[State]:
    retries = retries_of(task, context.flow_run_context)
    delays = delays_of(task.retry_delay_seconds, retries) if retries else []
    with ExitStack() as stack:
        stack.enter_context(entered(TASK_RUN, context))
        stack.enter_context(printing_as_logs(context.log_prints))
        while True:
            context.start_time = record.running()
            context.run_count = record.run_count
            state = yield from _one_try(task, record, context, args, kwargs)
            failed_tries = record.run_count
            if state.type is not StateType.FAILED or not delays:
                if state.type is not StateType.COMPLETED:
                    logger_of(context).error("Finished in state %s: %s", state.name, state.message)
                return state
            seconds = jittered(delays.pop(0), task.retry_jitter_factor)
            logger_of(context).warning(
                "%s. Try %d of %d, the next one in %g s",
                state.message,
                failed_tries,
                failed_tries + len(delays) + 1,
                seconds,
            )
            record.retry_at(moment() + timedelta(seconds=seconds))
            if seconds > 0:
                yield Sleep(seconds)
            context.flow_run_context.session.check()


def _one_try(
    task: TaskLike, record: TaskRun, context: TaskRunContext, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Steps[State]:
    try:
        value = yield Invoke(task.fn, args, kwargs, isasync=task.isasync, timeout=task.timeout_seconds)
        return outcomes.from_return_value(value)
    except Timeout:
        return outcomes.timed_out("Task run", task.timeout_seconds or 0, Reason.TASK_TIMED_OUT)
    except Exception as error:
        logger_of(context).error("The task raised an exception", exc_info=users_part(error))
        return outcomes.failed(error)
    except Superseded:
        raise
    except BaseException as error:
        record.finish(interrupted(error, context.flow_run_context))
        raise


def interrupted(error: BaseException, run: FlowRunContext) -> State:
    """The state of a task run that was stopped, by whatever stops the whole run."""
    cancelled = isinstance(error, CancelRequested) or (run.session.terminated and run.session.is_being_cancelled())
    if cancelled:
        return outcomes.cancelled("Stopped, because its flow run was cancelled")
    return outcomes.crashed(f"Stopped while it ran: {outcomes.describe(error)}", Reason.SIGNALLED)


def retries_of(task: TaskLike, run: FlowRunContext) -> int:
    return run.task_retries if task.retries is None else task.retries


def _context(task: TaskLike, record: TaskRun, run: FlowRunContext, parameters: dict[str, Any]) -> TaskRunContext:
    if task.task_run_name is not None:
        record.renamed(names.from_template(task.task_run_name, parameters, "task_run_name"))
    log_prints = run.log_prints if task.log_prints is None else task.log_prints
    return TaskRunContext(task, record.id, record.name, run, parameters, run.start_time, 0, log_prints)


def _policy(task: TaskLike, retries: int) -> wire.JSON:
    delays = delays_of(task.retry_delay_seconds, retries)
    delay: float | list[float] = delays[0] if len(set(delays)) == 1 else delays
    return {"retries": retries, "retry_delay": delay, "retry_jitter_factor": task.retry_jitter_factor}


def sources_of(arguments: dict[str, Any], wait_for: Iterable[Any]) -> dict[str, list[UUID]]:
    """Argument -> the ids of the task runs whose futures are in it."""
    found: dict[str, list[UUID]] = {}
    if not inputs.holds_nothing(arguments.values()):
        found = {name: [future.key for future in inputs.futures_in(value)] for name, value in arguments.items()}
    if wait_for:
        found["wait_for"] = [future.key for future in inputs.futures_in(list(wait_for))]
    return found
