"""The times of recurrence rules by the wall clock. Pure. What would take for ever is cut off, wherever the rule starts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any

from dateutil.rrule import HOURLY, MONTHLY, WEEKLY, YEARLY

from penstock.model.recurrence_rules import Recurrence

#: How far a rule is followed from now on if nothing comes of it: one by days or longer, one by hours or shorter.
FAR, NEAR = timedelta(days=50 * 365), timedelta(days=5 * 365)
#: Times that exceptions may take away in a row.
MOST_LEFT_OUT = 100_000
_SECONDS = {2: 604_800, 3: 86_400, 4: 3600, 5: 60, 6: 1}


def shown_times(recurrence: Recurrence, after: datetime) -> Iterator[datetime]:
    """The times later than `after`, rising, a time of two rules twice. Raises ValueError if exceptions leave too few."""
    wanted = merge(*(_rule_times(rule, after) for rule in recurrence.rules), recurrence.dates)
    taken = merge(*(_rule_times(rule, after) for rule in recurrence.exceptions))
    next_taken = next(taken, None)
    passed = 0
    for time in wanted:
        while next_taken is not None and next_taken < time and passed < MOST_LEFT_OUT:
            next_taken = next(taken, None)
            passed += 1
        if passed >= MOST_LEFT_OUT:
            raise ValueError(f"its exceptions leave out {MOST_LEFT_OUT} times in a row: it is too much to compute")
        if time == next_taken or time in recurrence.left_out:
            passed += 1
        elif time > after:
            passed = 0
            yield time


def step_of(recurrence: Recurrence) -> timedelta | None:
    """How far apart its times are if it counts hours, minutes or seconds; None if it names times of day."""
    steps = [_step(rule) for rule in recurrence.rules]
    apart = [step for step in steps if step is not None]
    return max(apart) if apart and len(apart) == len(steps) else None


def _step(rule: Any) -> timedelta | None:
    names_hours = rule._freq == HOURLY and rule._original_rule.get("byhour")
    if rule._freq < HOURLY or names_hours:
        return None
    return timedelta(seconds=_SECONDS[rule._freq] * rule._interval)


def _rule_times(rule: Any, after: datetime) -> Iterator[datetime]:
    end = max(after, rule._dtstart) + (NEAR if rule._freq >= HOURLY else FAR)
    if rule._count is not None:
        return islice(rule.replace(count=None, until=end), rule._count)
    until = end if rule._until is None else min(rule._until, end)
    return iter(rule.replace(dtstart=_wound(rule, after), until=until))


def _wound(rule: Any, after: datetime) -> datetime:
    """A start close to `after` from which the rule has the same times: years of them need not be counted through."""
    start: datetime = rule._dtstart
    if rule._freq >= WEEKLY:
        step = timedelta(seconds=_SECONDS[rule._freq] * rule._interval)
        return start + max(0, (after - start) // step - 1) * step
    months = rule._interval * {YEARLY: 12, MONTHLY: 1}[rule._freq]
    steps = ((after.year - start.year) * 12 + after.month - start.month) // months - 1
    while steps > 0:
        years, month = divmod(start.month - 1 + steps * months, 12)
        try:
            return start.replace(year=start.year + years, month=month + 1)
        except ValueError:  # that month has no such day
            steps -= 1
    return start
