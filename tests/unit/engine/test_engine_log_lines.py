"""What a log record says, and how much of it travels."""

import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine import lines


def record(msg, *args, exc_info=None, stack_info=None):
    found = logging.LogRecord("n", logging.INFO, __file__, 1, msg, args, exc_info)
    found.stack_info = stack_info
    return found


class Broken:
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class BrokenError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("msg", "args", "said"),
    [
        ("plain", (), "plain"),
        ("%s of %d", ("one", 2), "one of 2"),
        ("100 %", (), "100 %"),
        (ValueError("an object"), (), "an object"),
        ({"a": 1}, (), "{'a': 1}"),
        (None, (), "None"),
        (b"bytes", (), "b'bytes'"),
    ],
)
def test_a_message_is_what_logging_makes_of_it(msg, args, said):
    assert lines.message_of(record(msg, *args)) == said


@pytest.mark.parametrize(
    ("msg", "args"), [("%d", ("word",)), ("%s %s", ("one",)), ("%s", (Broken(),)), (Broken(), ()), ("%q", (1,))]
)
def test_what_cannot_be_formatted_is_told_instead_of_lost(msg, args):
    said = lines.message_of(record(msg, *args))
    assert "do not fit" in said
    assert "TypeError" in said or "no text" in said or "unsupported" in said or "format" in said or "enough" in said


def test_an_exception_comes_with_its_traceback_and_a_stack_with_its_frames():
    try:
        raise ValueError("the cause")
    except ValueError as error:
        said = lines.message_of(record("it broke", exc_info=(type(error), error, error.__traceback__)))
    assert said.startswith("it broke\nTraceback (most recent call last):\n")
    assert said.endswith("ValueError: the cause")
    assert lines.message_of(record("here", stack_info="Stack (most recent call last):\n  x")).endswith("\n  x")


def test_an_exception_that_has_no_text_breaks_nothing():
    try:
        raise BrokenError
    except BrokenError as error:
        said = lines.message_of(record("it broke", exc_info=(type(error), error, error.__traceback__)))
    assert said.startswith("it broke\n")
    assert "BrokenError" in said


@given(st.text(max_size=600), st.integers(min_value=200, max_value=600))
def test_a_cut_line_is_never_larger_than_allowed_and_says_how_much_is_missing(text, most):
    short, left = lines.cut(text, most)
    assert len(short.encode("utf-8", "surrogatepass")) <= most or not left
    if left:
        kept = short.rpartition("\n")[0]
        assert text.startswith(kept)
        assert short.endswith(f"… {left} characters were left out …")
        assert len(kept) + left == len(text)
    else:
        assert short == text


def test_characters_are_not_cut_in_the_middle():
    short, left = lines.cut("€" * 10_000, 1_000)
    assert set(short.rpartition("\n")[0]) == {"€"}
    assert left == 10_000 - short.count("€")


def test_of_a_traceback_the_end_is_kept_too():
    short, left = lines.cut("begin " + "x" * 100_000 + "\nValueError: what was raised", 16_000, keep_end=True)
    assert short.startswith("begin ")
    assert "ValueError: what was raised\n" in short
    assert short.endswith(f"… {left} characters were left out in the middle …")
    assert len(short) <= 16_000


def test_times_are_written_as_they_are():
    moment = datetime(2026, 3, 1, 23, 59, 58, 7, UTC)
    assert datetime.fromisoformat(lines.Stamp(moment).utc) == moment
    later = moment.replace(second=59)
    assert datetime.fromisoformat(lines.Stamp(later).utc) == later
    local = moment.astimezone()
    assert lines.console_text(lines.Stamp(moment), "INFO", "T", "m") == f"{local:%H:%M:%S}.000 | INFO    | T - m\n"
