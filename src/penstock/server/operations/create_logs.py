"""Keep log lines: column by column, as a run may write ten thousands of them a second."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from penstock.model.base import new_id
from penstock.model.logs import LogCreate
from penstock.server.database.bulk import insert_columns
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.tables import log


def create_logs(tx: Transaction, lines: Sequence[LogCreate]) -> None:
    if not lines:
        return
    same: dict[int, UUID] = {}  # one object for each id, so that it is made ready for the database once
    flow_runs = [_one(same, line.flow_run_id) for line in lines]
    columns: dict[str, Sequence[Any]] = {
        "id": [new_id() for _ in lines],
        "created": [tx.now] * len(lines),
        "name": [line.name for line in lines],
        "level": [line.level for line in lines],
        "flow_run_id": flow_runs,
        "task_run_id": [_one(same, line.task_run_id) for line in lines],
        "message": [clean(line.message) for line in lines],
        "timestamp": [line.timestamp for line in lines],
    }
    insert_columns(tx, log, columns)
    for run_id in set(flow_runs):
        if run_id is not None:
            tx.notify(f"logs:{run_id}")


def _one(same: dict[int, UUID], id_: UUID | None) -> UUID | None:
    return None if id_ is None else same.setdefault(id_.int, id_)
