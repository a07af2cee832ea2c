from uuid import UUID

import sqlalchemy as sa

from penstock.model.task_runs import TaskRunUpdate
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import task_run
from penstock.server.operations.read_task_run import no_task_run


def update_task_run(tx: Transaction, task_run_id: UUID, asked: TaskRunUpdate) -> None:
    """Change what is given. Raises NotFound."""
    values = asked.model_dump(exclude_none=True)
    changed = tx.execute(sa.update(task_run).where(task_run.c.id == task_run_id).values(**values, updated=tx.now))
    if changed.rowcount == 0:
        raise no_task_run(task_run_id)


def delete_task_run(tx: Transaction, task_run_id: UUID) -> None:
    """Delete the task run with its states. Raises NotFound."""
    if tx.execute(sa.delete(task_run).where(task_run.c.id == task_run_id)).rowcount == 0:
        raise no_task_run(task_run_id)
