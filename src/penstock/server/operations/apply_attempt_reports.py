"""What agents tell about their attempts: handles, observations, failures, output; and what follows from it."""

import logging
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from penstock.model.attempts import AttemptReport, AttemptReportResult, AttemptStatus, Exit
from penstock.model.reasons import Phase, Reason
from penstock.model.states import StateType
from penstock.server.database.attempts import lock_run_and_attempt
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.statements import update_and_read, update_row
from penstock.server.database.tables import attempt, flow_run
from penstock.server.operations.end_attempt import end_attempt
from penstock.server.rules.attempts import STOPPED, Ending, ending_of_exit, phase_of, with_words

_log = logging.getLogger("penstock.server.attempts")

#: How much of a job's last output is kept, in characters.
OUTPUT_KEPT = 65_536
#: "There is no such job" counts once it was said twice, at least so many seconds apart.
MISSING_SECONDS = 1.0


def apply_attempt_reports(tx: Transaction, reports: list[AttemptReport]) -> list[AttemptReportResult]:
    """Apply each report by itself: one that cannot be applied is logged and answered as it stands, and spoils no
    other."""
    results = []
    for report in reports:
        try:
            with tx.connection.begin_nested():
                results.append(apply_attempt_report(tx, report))
        except sa.exc.OperationalError:
            raise  # the database itself, or a lost race: the whole batch is tried again
        except Exception:
            _log.exception("A report on attempt %s could not be applied", report.attempt_id)
            results.append(AttemptReportResult(attempt_id=report.attempt_id))
    return results


def apply_attempt_report(tx: Transaction, report: AttemptReport) -> AttemptReportResult:
    """Apply one report. Saying it twice changes nothing."""
    found = lock_run_and_attempt(tx, report.attempt_id)
    if found is None or found[1].agent_id != report.agent_id:
        return AttemptReportResult(attempt_id=report.attempt_id, known=False)
    run, row = found
    values = _output(report)
    if row.status == AttemptStatus.ENDED:
        values |= _late_exit(row, report)
    else:
        values |= _handle(tx, run, row, report) | _observed(row, report)
    if values:
        row = update_and_read(tx, attempt, row.id, values | {"updated": tx.now})
    if row.status != AttemptStatus.ENDED:
        ending = _ending(run, row, report)
        if ending is not None:
            end_attempt(tx, run, row, ending, exited=_exit(row, report))
            return AttemptReportResult(attempt_id=row.id, status=AttemptStatus.ENDED)
    return AttemptReportResult(attempt_id=row.id, status=AttemptStatus(row.status))


def _output(report: AttemptReport) -> dict[str, Any]:
    return {} if report.output_tail is None else {"output_tail": clean(report.output_tail[-OUTPUT_KEPT:])}


def _late_exit(row: sa.Row[Any], report: AttemptReport) -> dict[str, Any]:
    """The exit of an attempt that was fenced before anybody knew it."""
    seen = report.observation.exit if report.observation else None
    return {"exit": _dump(seen)} if seen is not None and row.exit is None else {}


def _handle(tx: Transaction, run: sa.Row[Any], row: sa.Row[Any], report: AttemptReport) -> dict[str, Any]:
    if report.infrastructure_pid is not None and report.infrastructure_pid != run.infrastructure_pid:
        pid = {"infrastructure_pid": report.infrastructure_pid, "updated": tx.now}
        update_row(tx, flow_run, run.id, pid)
    if report.handle is None:
        return {}
    values: dict[str, Any] = {"handle": report.handle}
    if row.started_at is None:
        values["started_at"] = tx.now
    if row.status in (AttemptStatus.CLAIMED, AttemptStatus.LAUNCHING):
        # whatever its platform had to prepare is done
        values |= {"status": AttemptStatus.STARTED.value, "phase": None, "waiting_for": None}
    return values


def _observed(row: sa.Row[Any], report: AttemptReport) -> dict[str, Any]:
    seen = report.observation
    if seen is None:
        return {}
    if row.last_observed_at is not None and seen.observed_at < row.last_observed_at:
        return {}
    if seen.status == "UNKNOWN":
        return {
            "unobserved_since": row.unobserved_since or seen.observed_at,
            "message": clean(seen.message) or row.message,
        }
    values: dict[str, Any] = {
        "last_observed_at": seen.observed_at,
        "unobserved_since": None,
        "missing_since": (row.missing_since or seen.observed_at) if seen.status == "MISSING" else None,
        "waiting_for": seen.waiting_for if seen.status == "PENDING" else None,
        # what was said while nobody saw it is no news any more
        "message": clean(seen.message) or (row.message if row.unobserved_since is None else None),
    }
    if seen.phase is not None:
        values["phase"] = seen.phase.value
    if seen.exit is not None:
        values["exit"] = _dump(seen.exit)
    return values


def _dump(exited: Exit) -> dict[str, Any]:
    return exited.model_dump(mode="json", exclude_none=True)


def _exit(row: sa.Row[Any], report: AttemptReport) -> Exit | None:
    if report.observation is not None and report.observation.exit is not None:
        return report.observation.exit
    return Exit.model_validate(row.exit) if row.exit else None


def _ending(run: sa.Row[Any], row: sa.Row[Any], report: AttemptReport) -> Ending | None:
    """How the attempt has ended, if this report proves that it has."""
    stop = Reason(row.stop_reason) if row.stop_reason else None
    state = StateType(run.state_type or StateType.PENDING)
    seen_phase = report.phase or (Phase(row.phase) if row.phase else None)
    phase = phase_of(AttemptStatus(row.status), state, seen_phase)
    exited = _exit(row, report)
    if report.failure:
        reason = stop or report.reason or Reason.UNKNOWN
        message = report.message or "The job could not be launched."
        return Ending(reason, report.phase or phase, message, report.hint if reason is report.reason else None)
    seen = report.observation
    ended = seen is not None and seen.status == "ENDED"
    missing = seen is not None and seen.status == "MISSING" and _missing_for(row, seen.observed_at) >= MISSING_SECONDS
    if not (report.gone or missing or (ended and stop is None)):
        return None
    if exited is None and not ended:
        return _gone(row, report, phase, stop)
    exited = exited or Exit()
    if seen is not None and exited.reason is None and seen.reason is not None:
        exited = exited.model_copy(update={"reason": seen.reason})
    if seen is not None and exited.message is None:
        exited = exited.model_copy(update={"message": seen.message})
    told_to_end = row.told_to_end_at is not None
    return ending_of_exit(
        exited,
        started=row.running_at is not None,
        phase=phase,
        stop_reason=stop,
        told_to_end=told_to_end,
        output_tail=row.output_tail or "",
    )


def _missing_for(row: sa.Row[Any], observed_at: datetime) -> float:
    since = row.missing_since or observed_at
    return float((observed_at - since).total_seconds())


def _gone(row: sa.Row[Any], report: AttemptReport, phase: Phase, stop: Reason | None) -> Ending:
    """The job is not there any more, and how it ended nobody knows."""
    words = report.message or (report.observation.message if report.observation else None)
    if stop is not None:
        return Ending(stop, phase, with_words(STOPPED[stop], words))
    name = f" {row.job_name!r}" if row.job_name else ""
    return Ending(
        Reason.DELETED, phase, with_words(f"The job{name} is gone from the platform; how it ended is not known.", words)
    )
