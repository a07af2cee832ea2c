"""Keep log lines."""

from collections.abc import Sequence
from typing import Any

from penstock.model.base import new_id
from penstock.model.logs import LogCreate
from penstock.server.database.bulk import insert_many
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.tables import log


def log_values(tx: Transaction, line: LogCreate) -> dict[str, Any]:
    return {
        "id": new_id(),
        "created": tx.now,
        "name": line.name,
        "level": line.level,
        "flow_run_id": line.flow_run_id,
        "task_run_id": line.task_run_id,
        "message": clean(line.message),
        "timestamp": line.timestamp,
    }


def create_logs(tx: Transaction, lines: Sequence[LogCreate]) -> None:
    if lines:
        insert_many(tx, log, [log_values(tx, line) for line in lines])
        for run_id in {line.flow_run_id for line in lines if line.flow_run_id is not None}:
            tx.notify(f"logs:{run_id}")
