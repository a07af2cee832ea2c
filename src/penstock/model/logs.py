from datetime import datetime
from enum import StrEnum
from uuid import UUID

from penstock.model.base import Request, Stored


class Log(Stored):
    """One line of a run. `level` is Python's (20 = INFO)."""

    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class LogCreate(Request):
    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class LogSort(StrEnum):
    TIMESTAMP_ASC = "TIMESTAMP_ASC"
    TIMESTAMP_DESC = "TIMESTAMP_DESC"
