"""Limits, leases and lost attempts, judged for all open attempts: even with all agents dead, no run stays open for
ever."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.attempts import AttemptStatus, Limits
from penstock.model.reasons import Phase, Reason
from penstock.model.states import TERMINAL, State, StateDetails, StateType
from penstock.server.database.attempts import OPEN, has_open_attempt, live_reaches, lock_run_and_attempt
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import attempt, flow_run
from penstock.server.database.turns import take_turn
from penstock.server.operations.end_attempt import end_attempt
from penstock.server.operations.write_flow_run_state import write_flow_run_state
from penstock.server.rules.attempts import phase_of
from penstock.server.rules.limits import Judgement, Standing, Step, judge
from penstock.server.rules.reasons import hint

_log = logging.getLogger("penstock.server.limits")

#: Seconds that a run without an attempt gets to stop by itself once it is Cancelling.
CANCEL_SECONDS = 60.0
#: Attempts that one transaction judges at most.
BATCH = 100


@dataclass(frozen=True)
class Patience:
    """`lost_seconds`: how long a running attempt may be silent. `judge_leases`: whether leases may be taken at their
    word."""

    lost_seconds: float = 120.0
    judge_leases: bool = True


@dataclass(frozen=True)
class Overdue:
    """What a look found: attempts to be judged, and runs without attempts that were asked to stop too long ago."""

    attempts: list[UUID]
    runs: list[UUID]

    def __bool__(self) -> bool:
        return bool(self.attempts or self.runs)


def find_overdue(tx: Transaction, patience: Patience) -> Overdue:
    """What `enforce_limits` would act on now, read only."""
    live = live_reaches(tx)
    columns = [column for column in attempt.c if column.name not in ("configuration", "handle", "output_tail", "exit")]
    query = (
        sa.select(*columns, flow_run.c.state_type, flow_run.c.end_time, flow_run.c.expected_start_time)
        .join(flow_run, flow_run.c.id == attempt.c.flow_run_id)
        .where(OPEN)
    )
    found = [row.id for row in tx.execute(query) if _judge(tx, row, row, live, patience).step is not Step.NOTHING]
    return Overdue(found, [run.id for run in _stuck_cancelling(tx)])


def enforce_limits(tx: Transaction, overdue: Overdue, patience: Patience) -> int:
    """Judge these again, now locked, and act. Returns how many were acted on. One that fails spoils no other."""
    if not take_turn(tx, "limits"):
        return 0
    live = live_reaches(tx)
    acted = 0
    for attempt_id in overdue.attempts[:BATCH]:
        try:
            with tx.connection.begin_nested():
                acted += _enforce(tx, attempt_id, live, patience)
        except sa.exc.OperationalError:
            raise
        except Exception:
            _log.exception("Attempt %s could not be judged", attempt_id)
    for run in _stuck_cancelling(tx, lock=True):
        _cancel_by_force(tx, run)
        acted += 1
    return acted


def _enforce(tx: Transaction, attempt_id: UUID, live: Collection[str], patience: Patience) -> bool:
    found = lock_run_and_attempt(tx, attempt_id)
    if found is None or found[1].status == AttemptStatus.ENDED:
        return False
    run, row = found
    judgement = _judge(tx, row, run, live, patience)
    if judgement.step is Step.NOTHING:
        return False
    _log.info("Attempt %s of run %s: %s %s", row.number, run.id, judgement.step, judgement.reason or "")
    if judgement.step is Step.FENCE:
        assert judgement.ending is not None
        end_attempt(tx, run, row, judgement.ending)
    else:
        tx.execute(sa.update(attempt).where(attempt.c.id == row.id).values(_marks(tx, row, judgement)))
    if judgement.step is not Step.MARK and row.agent_id is not None:
        tx.notify(f"attempt-agent:{row.agent_id}")
    return True


def _marks(tx: Transaction, row: sa.Row[Any], judgement: Judgement) -> dict[str, Any]:
    if judgement.step is Step.MARK:
        return {"unobserved_since": row.lease_expires_at, "updated": tx.now}
    assert judgement.reason is not None
    return {"cancel_requested_at": tx.now, "stop_reason": judgement.reason.value, "updated": tx.now}


def _judge(tx: Transaction, row: sa.Row[Any], run: sa.Row[Any], live: Collection[str], patience: Patience) -> Judgement:
    """`run` is the row that has the run's columns; it may be the same."""
    state = StateType(run.state_type or StateType.PENDING)
    status = AttemptStatus(row.status)
    expired = row.lease_expires_at <= tx.now
    standing = Standing(
        status=status,
        limits=Limits.model_validate(row.limits),
        claimed_at=row.claimed_at,
        lease_expires_at=row.lease_expires_at,
        lease_over=expired and patience.judge_leases,
        agent_alive=not expired or not patience.judge_leases or row.reach in live,
        due_at=run.expected_start_time,
        running_at=row.running_at,
        told_to_end_at=row.told_to_end_at,
        cancel_requested_at=row.cancel_requested_at,
        stop_reason=Reason(row.stop_reason) if row.stop_reason else None,
        last_observed_at=row.last_observed_at,
        last_reported_at=row.last_reported_at,
        unobserved_since=row.unobserved_since,
        run_over_since=(run.end_time or row.claimed_at) if state in TERMINAL else None,
        run_paused=state is StateType.PAUSED,
        waiting_for=row.waiting_for,
        said=row.message,
        job_name=row.job_name,
        agent_name=row.agent_name,
        phase=phase_of(status, state, Phase(row.phase) if row.phase else None),
    )
    return judge(standing, tx.now, patience.lost_seconds)


def _stuck_cancelling(tx: Transaction, lock: bool = False) -> list[sa.Row[Any]]:
    query = (
        sa.select(flow_run)
        .where(flow_run.c.state_type == StateType.CANCELLING.value, flow_run.c.end_time.is_(None))
        .where(flow_run.c.state_timestamp < tx.now - timedelta(seconds=CANCEL_SECONDS), ~has_open_attempt())
        .limit(BATCH)
    )
    return list(tx.execute(query.with_for_update(skip_locked=True, of=flow_run) if lock else query))


def _cancel_by_force(tx: Transaction, run: sa.Row[Any]) -> None:
    message = f"Cancelled, but within {CANCEL_SECONDS:g} s its process did not confirm that it has stopped."
    details = StateDetails(
        flow_run_id=run.id, phase=Phase.RUN, reason=Reason.CANCEL_FORCED, hint=hint(Reason.CANCEL_FORCED)
    )
    write_flow_run_state(
        tx, run, State(type=StateType.CANCELLED, timestamp=tx.now, message=message, state_details=details)
    )
