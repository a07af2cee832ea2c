"""What the engine reports without asking: task runs, their states, logs; in numbered batches that may be sent again."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from penstock.model.base import Data, Request
from penstock.model.logs import LogCreate
from penstock.model.states import StateCreate
from penstock.model.task_runs import TaskRunCreate


class TaskRunReport(Request):
    """A task run's story since the last batch: `create` when it is new, then its states in order.

    Times and counts are the engine's to say, as it was there.
    """

    task_run_id: UUID
    create: TaskRunCreate | None = None
    name: str | None = None
    states: list[StateCreate] = Field(default_factory=list)
    run_count: int | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float | None = None


class ReportBatch(Request):
    """Batch number `sequence` (1, 2, 3 …) of `stream`, an id that one engine process made for itself.

    A number that the server already has is answered as if it were new and changes nothing; a gap is refused with 409.
    `flow_run_id` is the run that the stream belongs to; lines that name no run are its. An empty batch is a sign of life.
    """

    stream: UUID
    sequence: int = Field(ge=1)
    flow_run_id: UUID
    task_runs: list[TaskRunReport] = Field(default_factory=list)
    logs: list[LogCreate] = Field(default_factory=list)


class ReportReceipt(Data):
    """`sequence` is the highest number that the server has. `cancel`: somebody wants the run to stop.

    `cancel_subflows`: subflow runs inside of it that are to stop by themselves. `paused`: the run is paused or suspended,
    so nothing new of it is to start.
    """

    stream: UUID
    sequence: int
    cancel: bool = False
    cancel_subflows: list[UUID] = Field(default_factory=list)
    paused: bool = False
