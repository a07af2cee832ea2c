"""What becomes of times of a schedule that were missed. Pure."""

from datetime import datetime, timedelta

from penstock.model.schedules import CatchupPolicy, Schedule
from penstock.server.rules.schedules import upcoming

#: How many missed times of one schedule are made up for at most: the newest.
MOST_CAUGHT_UP = 100


def planning_start(
    planned_until: datetime | None, now: datetime, active: bool, missed_first: datetime | None
) -> datetime | None:
    """Where planning begins again when planned runs are forgotten because something about them has changed.

    `missed_first`: the earliest of them that was due already. It and those after it are owed still; what lies ahead is
    planned anew. A schedule that is not active owes nothing.
    """
    if not active or planned_until is None:
        return None
    owed = [] if missed_first is None else [missed_first - timedelta(microseconds=1)]
    return min([planned_until, now, *owed])


def skipped_because(
    policy: CatchupPolicy, schedule: Schedule, time: datetime, now: datetime, late_after: float
) -> str | None:
    """Why a run that was due at `time` and has not started by `now` does not run any more; None if it does.

    `late_after`: seconds after which a run counts as missed. Raises ValueError if the schedule cannot be understood.
    """
    due = f"It was due at {time:%Y-%m-%d %H:%M:%S} UTC"
    if policy is CatchupPolicy.SKIP and now - time > timedelta(seconds=late_after):
        return f"{due} and did not start within {late_after:g} s; its schedule skips what was missed"
    if policy is CatchupPolicy.LATEST:
        newer = next(upcoming(schedule, time), None)
        if newer is not None and newer <= now:
            return f"{due} and did not start before {newer:%H:%M:%S}; its schedule makes up for the newest time only"
    return None
