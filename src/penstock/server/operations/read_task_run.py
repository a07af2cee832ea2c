from uuid import UUID

from penstock.errors import NotFound
from penstock.model.task_runs import TaskRun
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import SELECT_TASK_RUN, task_run_from
from penstock.server.database.tables import task_run


def no_task_run(task_run_id: UUID) -> NotFound:
    return NotFound("Task run not found", code="task_run_not_found", hint=f"There is no task run {task_run_id}.")


def read_task_run(tx: Transaction, task_run_id: UUID) -> TaskRun:
    """The task run with its state. Raises NotFound."""
    row = tx.execute(SELECT_TASK_RUN.where(task_run.c.id == task_run_id)).one_or_none()
    if row is None:
        raise no_task_run(task_run_id)
    return task_run_from(row, tx.now)
