"""Retry-After and waits."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from penstock.client.retries import TRY_AGAIN, parse_retry_after, wait_before, worth_repeating

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@given(st.text())
def test_any_text_is_a_wait_or_nothing(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 999_999_999))
def test_a_number_is_seconds(seconds: int) -> None:
    assert parse_retry_after(f" {seconds} ", NOW) == seconds


@given(st.integers(-(10**6), 10**6))
def test_a_date_is_the_time_until_then_and_a_past_one_is_now(seconds: int) -> None:
    text = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(text, NOW) == max(0, seconds)


def test_a_date_without_a_zone_is_utc() -> None:
    assert parse_retry_after("Wed, 02 Jan 2030 03:04:15 -0000", NOW) == 10


def test_nothing_usable_is_nothing() -> None:
    for text in (None, "", "soon", "-5", "1.5", "9" * 400, "٣", "Wed, 99 Jan 2030 03:04:15 GMT"):
        assert parse_retry_after(text, NOW) is None


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e9), st.floats(0.01, 3600), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_the_longest(retry: int, asked: float | None, longest: float, chance: float) -> None:
    assert 0 <= wait_before(retry, asked, longest, chance) <= longest


@given(st.floats(0, 20), st.floats(0, 1, exclude_max=True))
def test_what_the_server_asked_for_is_never_cut_short(asked: float, chance: float) -> None:
    assert asked <= wait_before(1, asked, 3600, chance) <= asked * 1.1


def test_waits_double_until_the_longest() -> None:
    almost_one = 0.999999
    assert [round(wait_before(n, None, 5, almost_one), 3) for n in range(1, 7)] == [0.5, 1, 2, 4, 5, 5]


def test_not_now_is_always_worth_repeating_and_a_verdict_never() -> None:
    for status in range(200, 600):
        assert worth_repeating(status, repeatable=True) == (status in TRY_AGAIN or status == 500)
        assert worth_repeating(status, repeatable=False) == (status in {408, 429, 503})
