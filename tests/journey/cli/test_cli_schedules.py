"""Schedules on the command line; docs/schedules.md runs as it stands."""

import re
import shlex
from pathlib import Path

import pytest
from cli_process import SameProcess, Terminal

from penstock.testing import TestServer

PAGE = (Path(__file__).parents[3] / "docs" / "schedules.md").read_text()


@pytest.fixture
def here(running: TestServer, terminal: Terminal) -> Terminal:
    """A terminal with a new deployment hello/nightly that has no schedule."""
    found = SameProcess(running.env, terminal.folder)
    found.ok("deployment", "build", "flows.py:hello", "-n", "nightly", "-a", "--no-check")
    found.ok("deployment", "set-schedule", "hello/nightly", "--no-schedule")
    return found


def schedules(here: Terminal) -> list[dict[str, object]]:
    found: list[dict[str, object]] = here.ok("deployment", "schedule", "ls", "hello/nightly", "-o", "json").json
    return found


def test_the_examples_of_the_page_run_as_they_stand(here: Terminal) -> None:
    lines = re.findall(r"^\$ penstock (.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 5
    shown = [here.ok(*shlex.split(line)) for line in lines]
    assert "hourly" in shown[2].out
    assert len(shown[3].out.splitlines()) == 6
    assert "clocks went forward 1 h" in shown[4].out
    assert [one["catchup_policy"] for one in schedules(here)] == ["all", "latest"]


def test_a_schedule_from_its_creation_to_its_end(here: Terminal) -> None:
    create = ("deployment", "schedule", "create", "hello/nightly")
    here.ok(*create, "--cron", "@daily", "-n", "day", "--params", '{"times": 2}', "--max-active-runs", "1")
    twice = here(*create, "--cron", "@daily", "--param", "times=2")
    assert twice.code != 0
    assert "same schedule twice" in twice.err
    here.ok("deployment", "schedule", "update", "hello/nightly", "day", "--cron", "@weekly", "--catchup", "skip")
    one = schedules(here)[0]
    assert (one["schedule"], one["parameters"], one["catchup_policy"], one["max_active_runs"]) == (
        {"cron": "@weekly", "timezone": None, "day_or": True},
        {"times": 2},
        "skip",
        1,
    )
    here.ok("deployment", "schedule", "pause", "hello/nightly", str(one["id"])[:8])
    assert [(one["active"], one["next"]) for one in schedules(here)] == [(False, None)]
    assert here.ok("deployment", "schedule", "preview", "hello/nightly").err.strip() == (
        "hello/nightly has no active schedule."
    )
    here.ok("deployment", "schedule", "resume", "hello/nightly", "day")
    here.ok(*create, "--interval", "600", "--inactive")
    wrong = here("deployment", "schedule", "delete", "hello/nightly", "dya", "-y")
    assert wrong.code == 3
    assert "Did you mean 'day'" in wrong.err
    assert here("deployment", "schedule", "delete", "hello/nightly", "day", stdin="").code == 2
    here.ok("deployment", "schedule", "delete", "hello/nightly", "day", "-y")
    here.ok(*create, "--rrule", "FREQ=WEEKLY;BYDAY=MO", "--replace", "-y")
    assert [one["schedule"] for one in schedules(here)] == [{"rrule": "FREQ=WEEKLY;BYDAY=MO", "timezone": None}]
    here.ok("deployment", "schedule", "clear", "hello/nightly", "-y")
    assert schedules(here) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "hello/nightly"), "Say when it is due"),
        (("create", "hello/nightly", "--cron", "0 0 9 * * *"), "six fields"),
        (("update", "hello/nightly", "x"), "Nothing is to be changed"),
        (("preview",), "Name a deployment, or say one schedule"),
        (("preview", "--cron", "@daily", "--timezone", "Mars/Phobos"), "no time zone 'Mars/Phobos'"),
        (("preview", "--cron", "@daily", "--interval", "5"), "exclude each other"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    here: Terminal, arguments: tuple[str, ...], said: str
) -> None:
    refused = here("deployment", "schedule", *arguments)
    assert refused.code == 2
    assert said in refused.err


def test_runs_that_are_due_can_be_listed_without_those_that_a_schedule_has_planned(here: Terminal) -> None:
    asked = here.ok("deployment", "run", "hello/nightly", "-o", "name").out.strip()
    later = here.ok("deployment", "run", "hello/nightly", "--start-in", "30d", "-o", "name").out.strip()
    newest = here.ok("flow-run", "ls", "--limit", "1", "-o", "name")
    assert newest.out.strip() == later
    assert "penstock flow-run ls --due" in newest.err
    due = here.ok("flow-run", "ls", "--due", "--limit", "200", "-o", "name")
    assert asked in due.out
    assert later not in due.out
    assert due.err == ""
