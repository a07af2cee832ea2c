"""List and count task runs."""

import sqlalchemy as sa

from penstock.model.filters import TaskRunCount, TaskRunQuery
from penstock.model.task_runs import TaskRun, TaskRunSort
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Conditions
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.database.rows import SELECT_TASK_RUN, task_runs_from
from penstock.server.database.tables import task_run

_C = task_run.c
ORDERS = {
    TaskRunSort.ID_DESC: Order(_C.id, descending=True),
    TaskRunSort.EXPECTED_START_TIME_ASC: Order(_C.id, _C.expected_start_time),
    TaskRunSort.EXPECTED_START_TIME_DESC: Order(_C.id, _C.expected_start_time, descending=True),
    TaskRunSort.NAME_ASC: Order(_C.id, _C.name),
    TaskRunSort.NAME_DESC: Order(_C.id, _C.name, descending=True),
    TaskRunSort.NEXT_SCHEDULED_START_TIME_ASC: Order(_C.id, _C.next_scheduled_start_time, nullable=True),
    TaskRunSort.END_TIME_DESC: Order(_C.id, _C.end_time, descending=True, nullable=True),
}


def read_task_runs(tx: Transaction, query: TaskRunQuery) -> tuple[list[TaskRun], str | None]:
    """A page of task runs, and the cursor of the next page if there may be one."""
    statement = SELECT_TASK_RUN.where(*Conditions(tx.dialect).task_runs(query))
    cut = Cut(query.sort.value, query.limit, query.offset, query.cursor)
    page = read_page(tx, statement, ORDERS[query.sort], cut)
    return task_runs_from(page.rows, tx.now), page.next_cursor


def count_task_runs(tx: Transaction, query: TaskRunCount) -> int:
    statement = sa.select(sa.func.count()).select_from(task_run).where(*Conditions(tx.dialect).task_runs(query))
    return int(tx.execute(statement).scalar_one())
