"""What is typed: assignments, schedules, states, references; each wrong one is refused with the nearest right one."""

import io
from datetime import datetime
from typing import Any

import pytest

from penstock.cli import assignments, references, schedules, serving, states
from penstock.cli.deployment_build import _target
from penstock.cli.errors import UsageProblem
from penstock.cli.infrastructure_options import SHORT, type_meant
from penstock.cli.run import generated_name
from penstock.cli.schedules import schedule_text
from penstock.infrastructure.registry import known_types
from penstock.model.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from penstock.model.states import TERMINAL, StateType
from penstock.model.transitions import NAMES
from penstock.model.work_pools import DEFAULT_POOL


def test_values_are_json_where_they_can_be() -> None:
    given = ["a=1", "b=text", 'c={"k": [1, null]}', "d=", "e=x=y"]
    assert assignments.values(given, "--param") == {"a": 1, "b": "text", "c": {"k": [1, None]}, "d": "", "e": "x=y"}


def test_overrides_stay_text() -> None:
    assert assignments.texts(["stream_output=false"], "--override") == {"stream_output": "false"}


@pytest.mark.parametrize("text", ["novalue", "=x", " =x"])
def test_what_is_no_assignment_is_refused_by_the_name_of_its_option(text: str) -> None:
    with pytest.raises(UsageProblem, match="--param"):
        assignments.values([text], "--param")


def test_an_object_may_come_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 1}'))
    assert assignments.json_object("-", "--params") == {"a": 1}


@pytest.mark.parametrize("text", ["[1]", "{", "3"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="--params"):
        assignments.json_object(text, "--params")


def _schedule(**given: Any) -> Any:
    options = dict.fromkeys(("cron", "interval", "rrule", "anchor_date", "timezone"))
    return schedules.schedule_of(**{**options, **given})


def test_schedules_of_each_kind() -> None:
    assert _schedule() is None
    cron = _schedule(cron="0 9 * * 1-5", timezone="Europe/Berlin")
    assert cron == CronSchedule(cron="0 9 * * 1-5", timezone="Europe/Berlin")
    every = _schedule(interval=60.0, anchor_date="2030-01-01T00:00+00:00")
    assert every == IntervalSchedule(interval=60, anchor_date=datetime.fromisoformat("2030-01-01T00:00+00:00"))
    assert _schedule(rrule="FREQ=WEEKLY;BYDAY=MO") == RRuleSchedule(rrule="FREQ=WEEKLY;BYDAY=MO")
    as_object = _schedule(rrule='{"rrule": "FREQ=DAILY", "timezone": "UTC"}')
    assert as_object == RRuleSchedule(rrule="FREQ=DAILY", timezone="UTC")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cron": "0 9 * * 1-5", "interval": 5.0}, "exclude each other"),
        ({"cron": "0 99 * * *"}, "no cron expression"),
        ({"cron": "every day"}, "no cron expression"),
        ({"rrule": "FREQ=SOMETIMES"}, "no recurrence rule"),
        ({"rrule": "{"}, "not valid JSON"),
        ({"anchor_date": "2030-01-01"}, "--interval"),
        ({"timezone": "Europe/Berlin"}, "--timezone"),
        ({"cron": "0 9 * * *", "timezone": "Europe/Berln"}, "Did you mean 'Europe/Berlin'"),
    ],
)
def test_wrong_schedules_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageProblem) as refused:
        _schedule(**given)
    assert said in refused.value.message


def test_schedules_in_a_few_words() -> None:
    assert schedule_text({"cron": "0 9 * * *", "timezone": "UTC"}) == "cron 0 9 * * * (UTC)"
    assert schedule_text({"interval": 3600.0}) == "every 1 h"
    assert schedule_text(None) == ""


def test_states_are_those_of_the_model() -> None:
    assert set(states.TYPES) == set(StateType)
    assert set(states.NAMES) == {name for names in NAMES.values() for name in names}
    assert states.FINAL == TERMINAL


def test_states_are_found_in_any_case_and_unknown_ones_refused() -> None:
    assert states.state_filter(["late"], ["failed"]) == {"name": {"any_": ["Late"]}, "type": {"any_": ["FAILED"]}}
    assert states.state_filter([], []) is None
    with pytest.raises(UsageProblem, match="Did you mean 'Completed'"):
        states.state_filter(["complted"], [])


@pytest.mark.parametrize(
    ("text", "identifier", "prefix", "malformed"),
    [
        ("0b7c63cc-9167-4f6e-98f3-4bae718392bf", True, False, True),
        ("0b7c63cc91674f6e98f34bae718392bf", True, False, False),
        ("0b7c63cc-9167", False, True, False),
        ("0b7c", False, True, False),
        ("0b7", False, False, False),
        ("casual-marten", False, False, False),
        ("0b7c63cc-9167-4f6e-98f3-4bae718392b", False, True, True),
        ("0b7c63cc-9167-4f6e-98f3-4bae718392bff", False, False, True),
    ],
)
def test_kinds_of_references(text: str, identifier: bool, prefix: bool, malformed: bool) -> None:
    assert (references.as_uuid(text) is not None) is identifier
    assert references.is_prefix(text) is prefix
    assert references.looks_like_id(text) is malformed


def test_a_dash_stands_for_the_lines_of_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n\n b \n"))
    assert references.expand(["x", "-"]) == ["x", "a", "b"]


def test_who_serves_a_queue() -> None:
    online = {
        "online": True,
        "draining": False,
        "work_pool": None,
        "work_queues": ["q"],
        "work_queue_prefixes": ["pre-"],
    }
    assert serving.serves(online, None, "q")
    assert serving.serves(online, DEFAULT_POOL, "pre-1")
    assert not serving.serves(online, None, "other")
    assert not serving.serves(online, "pool", "q")
    assert not serving.serves({**online, "online": False}, None, "q")
    assert not serving.serves({**online, "draining": True}, None, "q")
    assert serving.serves({"online": True, "work_pool": "pool"}, "pool", "anything")
    several = {"online": True, "work_pool": "a", "work_pools": ["a", "b"], "work_queue_prefixes": ["*-night"]}
    assert serving.serves(several, "b", "etl-night")
    assert not serving.serves(several, "b", "etl-night-2")
    assert not serving.serves(several, "c", "etl-night")
    assert serving.DEFAULT_POOL == DEFAULT_POOL


def test_the_command_that_starts_an_agent_can_be_pasted() -> None:
    assert serving.start_command(None, "my queue") == "penstock agent start -q 'my queue'"
    assert serving.start_command("pool", "q") == "penstock agent start -p pool -q q"
    assert serving.start_command("my pool") == "penstock agent start -p 'my pool'"


def test_the_deployment_file_is_yaml() -> None:
    assert str(_target("flows/hello.py:hello", None)) == "hello-deployment.yaml"
    assert str(_target("hello.py:hello", "out")) == "out.yaml"
    with pytest.raises(UsageProblem):
        _target("hello.py:hello", "out.json")


def test_a_generated_name_is_the_same_each_time_and_another_for_another_flow_and_type() -> None:
    assert generated_name("a.py:f", "process") == generated_name("./a.py:f", "process")
    assert generated_name("a.py:f", "process") != generated_name("a.py:g", "process")
    assert generated_name("a.py:f", "process") != generated_name("a.py:f", "docker-container")


def test_types_of_infrastructure_have_short_names_that_mean_types_which_there_are() -> None:
    assert {type_meant(word) for word in SHORT} | {"process"} == set(known_types())
    assert type_meant("docker-container") == type_meant("docker") == "docker-container"
    with pytest.raises(UsageProblem, match="Did you mean 'docker-container'"):
        type_meant("docker-contaner")
