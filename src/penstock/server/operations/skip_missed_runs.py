"""Runs of schedules that do not make up for what was missed: those end as Skipped, unless they have started in time."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock import settings
from penstock.model.reasons import Phase, Reason
from penstock.model.schedules import CatchupPolicy
from penstock.model.states import State, StateDetails, StateType
from penstock.model.transitions import SKIPPED
from penstock.server.database.attempts import has_open_attempt
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import deployment_schedule, flow_run
from penstock.server.operations.read_schedule import schedule_from
from penstock.server.operations.write_flow_run_state import write_flow_run_state
from penstock.server.rules.catchup import skipped_because

#: Runs that are looked at in one transaction.
BATCH = 500
_NAMES = ("Scheduled", "Late")


def find_missed_runs(tx: Transaction, schedule_ids: Collection[UUID] | None = None) -> list[UUID]:
    """Runs that are to be skipped now; of these schedules, or of any."""
    run = flow_run.c
    query = (
        sa.select(flow_run)
        .join(deployment_schedule, deployment_schedule.c.id == run.schedule_id)
        .where(deployment_schedule.c.catchup_policy != CatchupPolicy.ALL.value)
        # only scheduled runs have such a time; a condition on the type would lead past the index that holds it
        .where(run.next_scheduled_start_time <= tx.now, run.state_name.in_(_NAMES), ~has_open_attempt())
    )
    if schedule_ids is None:
        query = query.order_by(run.next_scheduled_start_time).limit(BATCH)
    else:
        query = query.where(run.schedule_id.in_(list(schedule_ids)))
    return list(which_missed(tx, tx.execute(query).all()))


def skip_missed_runs(tx: Transaction, ids: Collection[UUID]) -> int:
    """Skip those of these runs that are still nobody's. Returns how many."""
    free = sa.select(flow_run).where(flow_run.c.id.in_(list(ids)), flow_run.c.state_type == StateType.SCHEDULED.value)
    rows = tx.execute(free.where(~has_open_attempt()).with_for_update(skip_locked=True, of=flow_run)).all()
    return len(skip_missed(tx, rows))


def skip_missed(tx: Transaction, rows: Iterable[sa.Row[Any]]) -> set[UUID]:
    """Skip those of these due runs, locked rows of flow_run, that their schedules do not make up for. Returns their ids."""
    rows = list(rows)
    reasons = which_missed(tx, rows)
    for row in rows:
        if row.id in reasons:
            details = StateDetails(reason=Reason.SKIPPED, phase=Phase.CLAIM)
            state = State(type=StateType.CANCELLED, name=SKIPPED, message=f"{reasons[row.id]}.", state_details=details)
            write_flow_run_state(tx, row, state)
    return set(reasons)


def which_missed(tx: Transaction, rows: Iterable[sa.Row[Any]]) -> dict[UUID, str]:
    """Why runs are skipped, by id. A run that somebody put off, or that waits to be tried again, is not."""
    planned = [
        row
        for row in rows
        if row.schedule_id is not None
        and row.state_name in _NAMES
        and row.next_scheduled_start_time == row.expected_start_time
        and row.attempt_count == 0
    ]
    if not planned:
        return {}
    late_after = settings.get("PENSTOCK_API_SERVICES_LATE_RUNS_AFTER_SECONDS")
    c = deployment_schedule.c
    ids = {row.schedule_id for row in planned}
    query = sa.select(c.id, c.schedule, c.catchup_policy).where(
        c.id.in_(ids), c.catchup_policy != CatchupPolicy.ALL.value
    )
    schedules = {row.id: (CatchupPolicy(row.catchup_policy), schedule_from(row.schedule)) for row in tx.execute(query)}
    found = {}
    for row in planned:
        policy, schedule = schedules.get(row.schedule_id, (CatchupPolicy.ALL, None))
        if schedule is not None:
            reason = skipped_because(policy, schedule, row.expected_start_time, tx.now, late_after)
            if reason is not None:
                found[row.id] = reason
    return found
