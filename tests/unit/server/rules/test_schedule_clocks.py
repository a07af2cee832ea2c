"""Each time once and none lost, over fifty years and wherever clocks are changed: compared with other libraries."""

import os
import random
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

import pytest
from schedule_oracle import changes, expected

from penstock.model.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule
from penstock.server.rules.schedules import upcoming

#: Half hours, two hours, twice a year and four times, at midnight, a day that never was, odd offsets, and plain ones.
ZONES = (
    "Australia/Lord_Howe", "Africa/Casablanca", "Antarctica/Troll", "Pacific/Apia", "Asia/Kathmandu", "Pacific/Chatham",
    "America/Sao_Paulo", "America/St_Johns", "Europe/Berlin", "America/New_York", "Europe/Dublin", "Asia/Tehran", "Asia/Gaza",
    "Africa/Cairo", "Asia/Amman", "America/Havana", "America/Santiago", "America/Asuncion", "Pacific/Kwajalein",
    "Pacific/Tongatapu", "Asia/Pyongyang", "Europe/Moscow", "Asia/Kolkata", "Australia/Adelaide", "Pacific/Fiji", "UTC",
)  # fmt: skip
SAMPLES = 1600
FIRST, LAST = datetime(1976, 1, 2, tzinfo=UTC), datetime(2034, 1, 1, tzinfo=UTC)

_MINUTES = ("0", "30", "7", "15,45", "0-10/5", "*/20", "*/30")
_HOURS = ("0", "1", "2", "3", "23", "1-3", "0,12", "0-23/3", "*/6", *("*",) * 5)
_DAYS = ("* * *",) * 6 + (
    "1 * *",
    "L * *",
    "* * SUN",
    "* * 1-5",
    "* * 6#2",
    "1-7 * SAT",
    "15 MAR,apr,OCT *",
    "* 2-11/3 0",
)
_RULES = (
    "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "FREQ=DAILY;BYHOUR=0;BYMINUTE=0,15,30,45", "FREQ=HOURLY", "FREQ=HOURLY;INTERVAL=5",
    "FREQ=MINUTELY;INTERVAL=20", "FREQ=MINUTELY;INTERVAL=90", "FREQ=WEEKLY;BYDAY=SU,SA;BYHOUR=1,2,3",
    "FREQ=MONTHLY;BYDAY=-1SU;BYHOUR=2", "FREQ=MONTHLY;BYMONTHDAY=31;BYHOUR=23;BYMINUTE=59", "FREQ=HOURLY;BYHOUR=0,1,2;BYMINUTE=10",
    "FREQ=YEARLY;BYMONTH=3,10;BYDAY=2SU,-1SU;BYHOUR=1,2", "DTSTART:19760101T013000\nRRULE:FREQ=DAILY;INTERVAL=3",
    "DTSTART:19770115T023000\nRRULE:FREQ=MONTHLY;INTERVAL=2", "DTSTART:19760229T003000\nRRULE:FREQ=YEARLY",
    "DTSTART:19800131T020000\nRRULE:FREQ=MONTHLY", "DTSTART:19900107T023000\nRRULE:FREQ=WEEKLY;INTERVAL=2",
)  # fmt: skip


def schedule_for(rng: random.Random, zone: str) -> Schedule:
    kind = rng.choice(("cron", "cron", "interval", "rrule"))
    if kind == "cron":
        expression = f"{rng.choice(_MINUTES)} {rng.choice(_HOURS)} {rng.choice(_DAYS)}"
        return CronSchedule(cron=expression, timezone=zone, day_or=rng.random() < 0.7)
    if kind == "rrule":
        return RRuleSchedule(rrule=rng.choice(_RULES), timezone=zone)
    anchor = datetime(rng.randrange(1976, 2034), rng.randrange(1, 13), 9, rng.randrange(24), 30, tzinfo=UTC)
    interval = rng.choice((900.0, 3600.0, 5400.0, 86_400.0, 3 * 86_400.0, 7 * 86_400.0, 100_000.0))
    return IntervalSchedule(interval=interval, anchor_date=anchor, timezone=zone)


def moment_for(rng: random.Random, zone: str) -> datetime:
    """Mostly close to a change of clocks, before it or within the hours that come twice."""
    near = [change for change in changes(ZoneInfo(zone)) if FIRST < change < LAST]
    if not near or rng.random() < 0.2:
        return FIRST + timedelta(seconds=rng.randrange(int((LAST - FIRST).total_seconds())))
    minutes = rng.choice((rng.randrange(-1800, 200), rng.randrange(-130, 130), rng.randrange(-70, 1)))
    return rng.choice(near) + timedelta(minutes=minutes, seconds=rng.choice((0, 0, 1, 59)))


def compare(schedule: Schedule, after: datetime) -> None:
    found = list(islice(upcoming(schedule, after), 8))
    wanted = expected(schedule, after, 8)
    assert found == wanted, f"{schedule!r} after {after}"


@pytest.mark.parametrize("part", range(4))
def test_times_are_those_that_other_libraries_find(part: int) -> None:
    rng = random.Random(part)
    for _ in range(SAMPLES // 4):
        zone = rng.choice(ZONES)
        compare(schedule_for(rng, zone), moment_for(rng, zone))


@pytest.mark.soak
@pytest.mark.skipif("PENSTOCK_TEST_SOAK" not in os.environ, reason="takes many minutes: set PENSTOCK_TEST_SOAK")
def test_times_are_those_that_other_libraries_find_at_every_change_of_every_zone() -> None:
    rng = random.Random(50)
    for zone in sorted(available_timezones()):
        for change in changes(ZoneInfo(zone)):
            if FIRST < change < LAST:
                compare(
                    schedule_for(rng, zone), change + timedelta(minutes=rng.choice((-1500, -100, -59, -1, 0, 1, 100)))
                )


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected_times"),
    [
        # clocks go forward by half an hour at 2:00, and back at 2:00
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00+00:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00+00:00", ["2026-04-04T14:45", "2026-04-05T15:15"]),
        # the 30th of December 2011 never was
        ("0 9 * * *", "Pacific/Apia", "2011-12-29T18:00+00:00", ["2011-12-29T19:00", "2011-12-30T10:00", "2011-12-30T19:00"]),
        # midnight is left out
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00+00:00", ["2018-11-04T03:00", "2018-11-05T02:00"]),
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00+00:00", ["2026-03-29T00:30", "2026-03-29T01:00"]),
        ("0 * * * *", "Europe/Berlin", "2026-10-24T23:30+00:00", ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"]),
        ("0 2 * * *", "Europe/Berlin", "2026-10-24T23:30+00:00", ["2026-10-25T00:00", "2026-10-26T01:00"]),
    ],
)  # fmt: skip
def test_known_changes_of_clocks(cron: str, zone: str, after: str, expected_times: list[str]) -> None:
    found = upcoming(CronSchedule(cron=cron, timezone=zone), datetime.fromisoformat(after))
    assert [f"{time:%Y-%m-%dT%H:%M}" for time in islice(found, len(expected_times))] == expected_times
