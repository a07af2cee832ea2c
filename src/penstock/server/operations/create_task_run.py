"""Create a task run, once per call in its flow run."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.errors import Conflict
from penstock.model.base import new_id
from penstock.model.task_runs import TaskRun, TaskRunCreate
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import task_run
from penstock.server.operations.check_attempt_credential import check_attempt_credential
from penstock.server.operations.proposed_state import state_of
from penstock.server.operations.read_task_run import read_task_run
from penstock.server.operations.write_task_run_state import write_task_run_state


def create_task_run(
    tx: Transaction, asked: TaskRunCreate, *, attempt: tuple[UUID, str] | None = None
) -> tuple[TaskRun, bool]:
    """The task run of this call, and whether it is new: (flow_run_id, task_key, dynamic_key) names the call.

    Raises Conflict if there is no such flow run, and Refused ``attempt_superseded``.
    """
    if attempt is not None:
        check_attempt_credential(tx, *attempt)
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    call = [task_run.c.flow_run_id, task_run.c.task_key, task_run.c.dynamic_key]
    statement = (
        insert(task_run)
        .values(task_run_values(tx, asked, asked.id or new_id()))
        .on_conflict_do_nothing(index_elements=call)
    )
    try:
        created_id = tx.execute(statement.returning(task_run.c.id)).scalar_one_or_none()
    except sa.exc.IntegrityError as error:
        raise Conflict(
            "The task run refers to a flow run that does not exist, or its id is taken",
            code="integrity",
            hint=f"flow_run_id is {asked.flow_run_id}.",
        ) from error
    if created_id is None:
        keys = (asked.flow_run_id, asked.task_key, asked.dynamic_key)
        known = sa.and_(*(column == value for column, value in zip(call, keys, strict=True)))
        return read_task_run(tx, tx.execute(sa.select(task_run.c.id).where(known)).scalar_one()), False
    if asked.state is not None:
        row = tx.execute(sa.select(task_run).where(task_run.c.id == created_id)).one()
        write_task_run_state(tx, row, state_of(asked.state, tx.now))
    return read_task_run(tx, created_id), True


def task_run_values(tx: Transaction, asked: TaskRunCreate, task_run_id: UUID) -> dict[str, object]:
    """The columns of a task run that has no state yet."""
    return {
        "id": task_run_id,
        "created": tx.now,
        "updated": tx.now,
        "name": asked.name or f"{asked.task_key.rpartition('.')[2]}-{asked.dynamic_key}",
        "flow_run_id": asked.flow_run_id,
        "task_key": asked.task_key,
        "dynamic_key": asked.dynamic_key,
        "cache_key": asked.cache_key,
        "cache_expiration": asked.cache_expiration,
        "task_version": asked.task_version,
        "empirical_policy": asked.empirical_policy.model_dump(mode="json", exclude_unset=True),
        "tags": asked.tags,
        "task_inputs": asked.task_inputs,
        "run_count": 0,
        "flow_run_run_count": 0,
        "expected_start_time": tx.now if asked.state is None else None,
        "total_run_time": 0.0,
    }
