"""Keep log lines: column by column, as a run may write ten thousands of them a second."""

import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from penstock.model.logs import LogCreate
from penstock.server.database.bulk import insert_columns
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.tables import log


def create_logs(tx: Transaction, lines: Sequence[LogCreate], flow_run_id: UUID | None = None) -> None:
    """Keep `lines`, in this order. Those that name no flow run belong to `flow_run_id`."""
    if not lines:
        return
    same: dict[int, UUID] = {}  # one object for each id, so that it is made ready for the database once
    flow_runs = [_one(same, line.flow_run_id or flow_run_id) for line in lines]
    columns: dict[str, Sequence[Any]] = {
        "id": _new_ids(len(lines)),
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


def _new_ids(count: int) -> list[str]:
    """Random ids (UUID version 4) as hexadecimal digits, all from one piece of randomness."""
    digits = os.urandom(16 * count).hex()
    return [
        f"{digits[at : at + 12]}4{digits[at + 13 : at + 16]}a{digits[at + 17 : at + 32]}"
        for at in range(0, 32 * count, 32)
    ]
