"""Runs that a program of its own executes, when that program is no more."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from penstock import clock
from penstock.model.flow_runs import FlowRunCreate
from penstock.model.flows import FlowCreate
from penstock.model.reports import ReportBatch, TaskRunReport
from penstock.model.states import StateCreate, StateType
from penstock.model.task_runs import TaskRunCreate
from penstock.server.database.connection import Database, Transaction
from penstock.server.database.tables import flow_run, report_stream, task_run
from penstock.server.operations.apply_reports import apply_reports
from penstock.server.operations.close_lost_runs import close_lost_runs, find_lost_runs
from penstock.server.operations.create_flow import create_flow
from penstock.server.operations.create_flow_run import create_flow_run

SILENCE = 3900.0


async def _run(database: Database, *, reports: bool = True) -> UUID:
    flow, _ = await database.write(create_flow, FlowCreate(name=f"flow-{uuid4()}"))
    asked = FlowRunCreate(flow_id=flow.id, state=StateCreate(type=StateType.RUNNING))
    run, _ = await database.write(create_flow_run, asked)
    if reports:
        task = TaskRunReport(
            task_run_id=uuid4(),
            create=TaskRunCreate(flow_run_id=run.id, task_key="t", dynamic_key="0"),
            states=[StateCreate(type=StateType.RUNNING)],
        )
        batch = ReportBatch(stream=uuid4(), sequence=1, flow_run_id=run.id, task_runs=[task])
        await database.write(apply_reports, batch)
    return run.id


def _age(tx: Transaction, run_id: UUID, seconds: float) -> None:
    past = clock.now() - timedelta(seconds=seconds)
    tx.execute(sa.update(report_stream).where(report_stream.c.flow_run_id == run_id).values(updated=past))


def _states(tx: Transaction, run_id: UUID) -> tuple[str, set[str]]:
    run = tx.execute(sa.select(flow_run.c.state_type).where(flow_run.c.id == run_id)).scalar_one()
    tasks = tx.execute(sa.select(task_run.c.state_type).where(task_run.c.flow_run_id == run_id)).scalars()
    return run, set(tasks)


async def _after_silence(database: Database, seconds: float, *, reports: bool = True) -> tuple[str, set[str]]:
    run_id = await _run(database, reports=reports)
    await database.write(_age, run_id, seconds)
    if await database.read(find_lost_runs, SILENCE):
        assert await database.write(close_lost_runs, SILENCE) == 1
    return await database.read(_states, run_id)


@pytest.mark.parametrize(
    ("silence", "state"), [(SILENCE + 60, "CRASHED"), (SILENCE - 60, "RUNNING")], ids=["too long", "not too long"]
)
def test_a_run_is_lost_with_its_tasks_only_when_its_program_was_silent_for_too_long(
    database: Database, silence: float, state: str
) -> None:
    assert asyncio.run(_after_silence(database, silence)) == (state, {state})


def test_a_run_whose_program_never_reports_is_left_to_whoever_executes_it(database: Database) -> None:
    assert asyncio.run(_after_silence(database, SILENCE * 10, reports=False)) == ("RUNNING", set())
