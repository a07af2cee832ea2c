"""When schedules are due: clock changes, odd rules, and never the past."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule
from penstock.server.rules.schedules import planned, upcoming

NOW = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)


def times(schedule: Schedule, count: int = 3, after: datetime = NOW) -> list[str]:
    return [f"{time:%Y-%m-%d %H:%M:%S}" for time in islice(upcoming(schedule, after), count)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (CronSchedule(cron="0 9 * * 1-5", timezone="Europe/Berlin"), ["2026-11-23 08:00:00", "2026-11-24 08:00:00"]),
        (CronSchedule(cron="@hourly"), ["2026-11-22 20:00:00", "2026-11-22 21:00:00"]),
        (CronSchedule(cron="0 0 13 * 5"), ["2026-11-27 00:00:00", "2026-12-04 00:00:00"]),
        (CronSchedule(cron="0 0 13 * 5", day_or=False), ["2027-08-13 00:00:00", "2028-10-13 00:00:00"]),
        (IntervalSchedule(interval=90), ["2026-11-22 19:01:30", "2026-11-22 19:03:00"]),
        (
            IntervalSchedule(interval=3600, anchor_date=datetime(2026, 1, 1, 0, 10, tzinfo=UTC)),
            ["2026-11-22 19:10:00", "2026-11-22 20:10:00"],
        ),
        (
            IntervalSchedule(interval=3600, anchor_date=datetime(2026, 11, 23, 0, 10, tzinfo=UTC)),
            ["2026-11-22 19:10:00", "2026-11-22 20:10:00"],
        ),
        (RRuleSchedule(rrule="FREQ=MINUTELY;INTERVAL=7"), ["2026-11-22 19:02:00", "2026-11-22 19:09:00"]),
        (
            RRuleSchedule(rrule="FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=12;BYMINUTE=0;BYSECOND=0", timezone="Asia/Tokyo"),
            ["2026-11-27 03:00:00", "2026-12-25 03:00:00"],
        ),
        (RRuleSchedule(rrule="DTSTART:20260101T100000\nRRULE:FREQ=DAILY;COUNT=3"), []),
        (RRuleSchedule(rrule="FREQ=YEARLY;COUNT=9"), ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
    ],
)
def test_a_schedule_is_due_when_it_says(schedule: Schedule, expected: list[str]) -> None:
    assert times(schedule, 2) == expected


def test_winding_a_rule_forward_does_not_change_its_times() -> None:
    wound = times(RRuleSchedule(rrule="FREQ=HOURLY;INTERVAL=7"), 5)
    counted = times(RRuleSchedule(rrule="FREQ=HOURLY;INTERVAL=7;COUNT=10000"), 5)
    assert wound == counted


def test_a_daily_schedule_keeps_its_hour_when_clocks_change() -> None:
    before = datetime(2026, 3, 27, 12, tzinfo=UTC)
    expected = ["2026-03-28 08:00:00", "2026-03-29 07:00:00", "2026-03-30 07:00:00"]
    anchor = datetime(2026, 1, 1, 8, tzinfo=UTC)
    for schedule in (
        CronSchedule(cron="0 9 * * *", timezone="Europe/Berlin"),
        IntervalSchedule(interval=86_400, anchor_date=anchor, timezone="Europe/Berlin"),
        RRuleSchedule(rrule="FREQ=DAILY;BYHOUR=9", timezone="Europe/Berlin"),
    ):
        assert times(schedule, 3, before) == expected


def test_a_time_that_a_clock_change_leaves_out_is_made_up_for_and_none_comes_twice() -> None:
    schedule = CronSchedule(cron="30 2 * * *", timezone="Europe/Berlin")
    spring = list(islice(upcoming(schedule, datetime(2026, 3, 28, 12, tzinfo=UTC)), 2))
    assert [time.date().day for time in spring] == [29, 30]
    autumn = list(islice(upcoming(schedule, datetime(2026, 10, 24, 12, tzinfo=UTC)), 2))
    assert [time.date().day for time in autumn] == [25, 26]


@pytest.mark.parametrize("schedule", [CronSchedule(cron="61 * * * *"), RRuleSchedule(rrule="FREQ=SOMETIMES")])
def test_what_is_no_schedule_is_an_error_that_quotes_it(schedule: Schedule) -> None:
    with pytest.raises(ValueError, match="is no"):
        times(schedule)


@pytest.mark.parametrize(
    ("interval", "count"), [(1, 100), (60, 60), (900, 4), (86_400, 3), (86_400 * 7, 2), (86_400 * 365, 1)]
)
def test_as_much_is_planned_as_an_hour_holds_within_bounds(interval: float, count: int) -> None:
    schedule = IntervalSchedule(interval=interval)
    found = planned(schedule, NOW, least=3, most=100, cover=timedelta(hours=1), ahead=timedelta(days=14))
    assert len(found) == count


@given(
    st.one_of(
        st.builds(
            IntervalSchedule,
            interval=st.integers(1, 10**7).map(float),
            timezone=st.sampled_from([None, "Asia/Kathmandu"]),
        ),
        st.builds(
            CronSchedule,
            cron=st.sampled_from(["*/5 * * * *", "0 0 * * 0", "30 1 1 * *", "15 2 * * *"]),
            timezone=st.sampled_from([None, "America/New_York", "Australia/Lord_Howe"]),
        ),
        st.builds(
            RRuleSchedule, rrule=st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=HOURLY;INTERVAL=5"])
        ),
    ),
    st.datetimes(datetime(2021, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_times_lie_ahead_and_rise(schedule: Schedule, after: datetime) -> None:
    found = list(islice(upcoming(schedule, after), 6))
    assert found == sorted(set(found))
    assert all(time > after for time in found)
    assert all(time.utcoffset() == timedelta(0) for time in found)
