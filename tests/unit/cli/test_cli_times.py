"""Times as people type and read them."""

from datetime import UTC, datetime, timedelta

import pytest

from penstock import clock
from penstock.cli import times
from penstock.cli.errors import UsageProblem


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5400),
        ("2 hours", 7200),
        ("1 day and 6 hours", 108000),
        ("2 hrs, 5 mins", 7500),
        ("1w", 604800),
    ],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert times.parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["soon", "5 fortnights", "10x", "m", "1h foo"])
def test_what_is_no_length_of_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageProblem) as refused:
        times.parse_duration(text)
    assert "90s" in (refused.value.hint or "")


def test_points_in_time_keep_their_zone() -> None:
    assert times.parse_moment("2030-01-31T09:00+02:00") == datetime(2030, 1, 31, 7, tzinfo=UTC)
    assert times.parse_moment("31 Jan 2030 09:00 UTC") == datetime(2030, 1, 31, 9, tzinfo=UTC)
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert times.parse_moment("now", lambda: now) == now


def test_what_is_no_point_in_time_is_refused() -> None:
    with pytest.raises(UsageProblem):
        times.parse_moment("the day after")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (12, "12 s"), (200, "3 min"), (7200, "2 h"), (7500, "2 h 5 min"), (400000, "4 d"), (None, "")],
)
def test_lengths_are_said_as_people_say_them(seconds: object, text: str) -> None:
    assert times.span(seconds) == text


def test_past_and_future_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    assert times.ago((clock.now() - timedelta(minutes=5)).isoformat()) == "5 min ago"
    assert times.ago(clock.now() + timedelta(hours=3, seconds=30)) == "in 3 h"
    assert times.ago(None) == ""
