"""Logging of our own processes."""

import io
import logging
import re
from collections.abc import Iterator

import pytest

from penstock import logs
from penstock.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("penstock")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def test_a_line_says_when_how_bad_who_and_what() -> None:
    stream = io.StringIO()
    logs.configure("info", stream)
    logging.getLogger("penstock.agent").info("claimed %s", "x")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} \| INFO    \| penstock\.agent - claimed x\n", stream.getvalue())


def test_the_level_is_ours_and_others_only_warn() -> None:
    stream = io.StringIO()
    logs.configure("DEBUG", stream)
    logging.getLogger("penstock.x").debug("mine")
    logging.getLogger("somebody.else").info("noise")
    logging.getLogger("somebody.else").warning("trouble")
    assert [line.rpartition(" - ")[2] for line in stream.getvalue().splitlines()] == ["mine", "trouble"]


def test_configured_twice_a_line_comes_once() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure("INFO", first)
    logs.configure("INFO", second)
    logging.getLogger("penstock").info("once")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1


def test_an_unknown_level_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'WARNING'"):
        logs.configure("WARNNG")
