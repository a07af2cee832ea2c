"""States of flow runs and task runs: what the server keeps, what the engine proposes, what a user reads."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator

from penstock.errors import PenstockError, RunCancelled, RunCrashed, RunFailed, RunNotFinished, RunPaused
from penstock.model.base import Data, Request, new_id
from penstock.model.reasons import Phase, Reason
from penstock.model.results import Reference, value_of


class StateType(StrEnum):
    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"


#: A run in one of these is over.
TERMINAL = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED})


class StateDetails(Data):
    """What belongs to a state beside its type, name and message.

    The last four fields are Penstock's own: they carry the reason of a failure to whoever reads the state.
    """

    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    child_flow_run_id: UUID | None = None
    scheduled_time: datetime | None = None
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    untrackable_result: bool = False
    pause_timeout: datetime | None = None
    pause_reschedule: bool = False
    pause_key: str | None = None
    run_input_keyset: dict[str, str] | None = None
    refresh_cache: bool | None = None
    retriable: bool | None = None
    transition_id: UUID | None = None
    task_parameters_id: UUID | None = None
    attempt_id: UUID | None = None
    phase: Phase | None = None
    reason: Reason | None = None
    hint: str | None = None


class State(Data):
    """One state of one run. `name` refines `type`: a SCHEDULED run may be Late or AwaitingRetry."""

    id: UUID = Field(default_factory=new_id)
    type: StateType
    name: str | None = None
    timestamp: datetime | None = None
    message: str | None = None
    data: Any = None
    state_details: StateDetails = Field(default_factory=StateDetails)

    def model_post_init(self, _context: Any) -> None:
        if self.name is None:
            self.name = self.type.value.capitalize()

    @field_validator("data")
    @classmethod
    def _as_read(cls, data: Any, info: ValidationInfo) -> Any:
        """What comes from the server is no result, but says where one lies; what a function returned stays as it is."""
        return Reference(data) if info.mode == "json" and isinstance(data, dict) else data

    def is_scheduled(self) -> bool:
        return self.type is StateType.SCHEDULED

    def is_pending(self) -> bool:
        return self.type is StateType.PENDING

    def is_running(self) -> bool:
        return self.type is StateType.RUNNING

    def is_paused(self) -> bool:
        return self.type is StateType.PAUSED

    def is_cancelling(self) -> bool:
        return self.type is StateType.CANCELLING

    def is_cancelled(self) -> bool:
        return self.type is StateType.CANCELLED

    def is_completed(self) -> bool:
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        return self.type is StateType.CRASHED

    def is_final(self) -> bool:
        return self.type in TERMINAL

    def result(self, raise_on_failure: bool = True, fetch: bool | None = None) -> Any:
        """What the run returned: from memory in the process in which it ran, else from where it was written.

        If the run did not complete, its exception is raised, or returned when `raise_on_failure` is False. With `fetch` in a
        running event loop you get an awaitable, and reading blocks nobody. Raises RunNotFinished, or RunPaused, when there is no
        result yet, RunError when it was not kept, and ResultError when it cannot be read.
        """
        if fetch:
            import asyncio

            try:
                asyncio.get_running_loop()
            except RuntimeError:
                pass
            else:
                return asyncio.to_thread(self.result, raise_on_failure)
        if self.type is StateType.PAUSED:
            raise RunPaused("The run is paused: it has no result yet", hint="Resume it: penstock flow-run resume ID")
        if not self.is_final():
            raise RunNotFinished(f"The run is {self.name}: it has no result yet")
        if self.type is StateType.COMPLETED:
            return self.data.result() if isinstance(self.data, State) else value_of(self.data)
        error = self._error()
        if raise_on_failure:
            raise error
        return error

    def _error(self) -> BaseException:
        try:
            error = value_of(self.data)
        except PenstockError:
            error = None  # what is known of it beside is in the message
        if isinstance(error, BaseException):
            return error
        if isinstance(self.data, list | tuple):
            for state in self.data:
                if isinstance(state, State) and state.type in TERMINAL and state.type is not StateType.COMPLETED:
                    return state._error()
        message = self.message or f"The run ended {self.name}"
        if self.type is StateType.CANCELLED:
            return RunCancelled(message)
        return RunCrashed(message) if self.type is StateType.CRASHED else RunFailed(message)


class StateCreate(Request):
    """A state as it is proposed. The server gives it its id and time unless the proposer already did."""

    type: StateType
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: StateDetails | None = None
    timestamp: datetime | None = None
    id: UUID | None = None


class Answer(StrEnum):
    """What became of a proposed state."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    ABORT = "ABORT"
    WAIT = "WAIT"


class AnswerDetails(Data):
    """`type` is `accept_details`, `reject_details`, `abort_details` or `wait_details`; `delay_seconds` comes with WAIT."""

    type: str
    reason: str | None = None
    delay_seconds: float | None = None


class OrchestrationResult(Data):
    """The server's answer to a proposed state. `state` is the run's state now (None when nothing was written and none is told)."""

    state: State | None = None
    status: Answer
    details: AnswerDetails


class SetState(Request):
    """Body of ``POST …/set_state``. `force` bypasses the rules."""

    state: StateCreate
    force: bool = False
