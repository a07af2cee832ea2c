"""What policies tell of, what messages say, and when they are tried again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model.message_templates import VARIABLES, check_template, fill
from penstock.model.reasons import Reason
from penstock.model.states import State, StateDetails, StateType
from penstock.model.transitions import NAMES
from penstock.server.rules.notifications import (
    LOG_CHARACTERS,
    PART_CHARACTERS,
    Event,
    Line,
    Watch,
    compose,
    last_lines,
    probably_meant,
    share_out,
    values_of,
    wait_after,
)

AT = datetime(2030, 1, 31, 9, 5, 7, tzinfo=UTC)


def event(**fields: Any) -> Event:
    details = StateDetails(reason=fields.pop("reason", None), hint=fields.pop("hint", None))
    state = State(
        type=StateType.FAILED, message=fields.pop("message", "ValueError: no"), timestamp=AT, state_details=details
    )
    ids = {"policy_id": uuid4(), "flow_id": uuid4(), "flow_run_id": uuid4(), "parameters": {}}
    return Event(**{**ids, "flow_name": "etl", "flow_run_name": "red-fox", "state": state, **fields})


def lines(*texts: str) -> list[Line]:
    return [Line(AT, "INFO", text) for text in texts]


@pytest.mark.parametrize(
    ("state_names", "tags", "fits"),
    [
        ([], [], True),
        (["Failed"], [], True),
        (["Crashed", "Failed"], [], True),
        (["Crashed"], [], False),
        ([], ["prod"], True),
        ([], ["prod", "other"], True),
        ([], ["other"], False),
        (["Failed"], ["other"], False),
        (["Crashed"], ["prod"], False),
    ],
)
def test_a_policy_tells_of_its_states_of_runs_with_one_of_its_tags(state_names: list[str], tags: list[str], fits: bool):
    watch = Watch(uuid4(), frozenset(state_names), frozenset(tags))
    assert watch.fits("Failed", ["prod", "daily"]) is fits


def test_a_run_without_tags_fits_only_policies_without_tags():
    assert Watch(uuid4(), frozenset(), frozenset()).fits("Failed", [])
    assert not Watch(uuid4(), frozenset(), frozenset({"a"})).fits("Failed", [])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("failed", "Failed"),
        ("CRASHED", "Crashed"),
        ("Faild", "Failed"),
        ("Completd", "Completed"),
        ("TimeOut", "TimedOut"),
    ],
)
def test_a_slip_in_a_state_name_is_known_for_what_was_meant(typed: str, meant: str):
    assert probably_meant(typed) == meant


def test_names_of_states_and_names_like_none_of_them_are_no_slips():
    for name in [*(name for names in NAMES.values() for name in names), "NoDataToday", "Skipped", "Waiting for Bob"]:
        assert probably_meant(name) is None


def test_the_message_of_the_house_tells_what_why_and_what_next():
    found = compose(
        event(
            reason=Reason.OUT_OF_MEMORY,
            hint="Give it more memory.",
            lines=lines("one", "two"),
            url="https://ui/run",
            deployment_name="nightly",
        ),
        None,
    )
    assert found.subject == "etl/red-fox: Failed"
    assert found.body == (
        "etl/red-fox is Failed since 2030-01-31 09:05:07 UTC.\n\nDeployment: etl/nightly\n\nValueError: no\n\n"
        "Reason: OutOfMemory. Give it more memory.\n\n"
        "Last lines of its log:\n09:05:07 INFO one\n09:05:07 INFO two\n\nhttps://ui/run"
    )


def test_without_a_user_interface_the_message_names_the_command_that_shows_the_run():
    one = event()
    assert compose(one, None).body.endswith(f"penstock flow-run inspect {one.flow_run_id}")


def test_a_state_without_a_hint_of_its_own_has_that_of_its_reason():
    assert "image" in values_of(event(reason=Reason.IMAGE_NOT_FOUND))["hint"]


def test_every_variable_has_a_value_and_every_value_a_variable():
    assert set(values_of(event())) == set(VARIABLES)


def test_a_template_is_filled_and_stands_for_itself_elsewhere():
    template = check_template("{{{flow_name}}} {flow_run_state_name}: {reason} {{x}}")
    assert compose(event(reason=Reason.EXITED), template).body == "{etl} Failed: Exited {x}"


def test_what_is_filled_in_is_not_filled_once_more():
    assert fill("{flow_name}", {"flow_name": "{reason}", "reason": "no"}) == "{reason}"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{flow_nam}", "Did you mean 'flow_name'"),
        ("{flow_run.name}", "Did you mean 'flow_run_name'"),
        ("{flow_name.__class__}", "no variable"),
        ("{}", "no variable"),
        ("{0}", "no variable"),
        ("{flow_name!r}", "stands alone"),
        ("{flow_name:>99999999999}", "stands alone"),
        ("{flow_name", "cannot be read"),
        ("}", "cannot be read"),
        ("x" * 10_001, "at most 10000 characters"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_with_what_is_wrong(template: str, words: str):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        check_template(template)


@given(st.text(), st.dictionaries(st.sampled_from(sorted(VARIABLES)), st.text()))
def test_whatever_passes_the_check_can_be_filled(template: str, values: dict[str, str]):
    try:
        check_template(template)
    except ValueError:
        return
    assert isinstance(fill(template, values), str)


@given(st.lists(st.text(max_size=3000), max_size=30))
def test_the_last_lines_are_few_short_and_the_newest(texts: list[str]):
    shown = last_lines(lines(*texts))
    assert len(shown) <= LOG_CHARACTERS
    if texts:
        assert shown.endswith(texts[-1][-500:])


def test_only_the_last_ten_lines_are_told():
    assert last_lines(lines(*map(str, range(25)))).split("\n") == [f"09:05:07 INFO {n}" for n in range(15, 25)]


def test_long_parts_are_cut():
    values = values_of(event(message="m" * 9000, hint="h" * 9000, parameters={"p": "x" * 9000}))
    assert max(map(len, values.values())) == PART_CHARACTERS


def test_parameters_that_sound_secret_are_masked():
    parameters = {"api_key": "s3cret", "db": {"password": "s3cret", "host": "h"}, "urls": ["https://u:s3cret@h/"]}
    text = values_of(event(parameters=parameters))["flow_run_parameters"]
    assert "s3cret" not in text
    assert '"host": "h"' in text


def test_a_message_that_stands_for_more_says_so_also_with_a_template():
    many = event(more=37, others=["etl/a is Failed", "etl/b is Crashed"])
    assert compose(many, None).subject == "etl/red-fox: Failed and 37 more"
    assert "and 37 more: etl/a is Failed, etl/b is Crashed … and 35 others" in compose(many, None).body
    assert compose(many, "{flow_run_name}").body == "red-fox\nand 37 more"
    assert compose(many, "{flow_run_name} ({more})").body == "red-fox (and 37 more)"


@given(st.integers(1, 500), st.integers(1, 30), st.integers(1, 10))
def test_no_share_is_larger_than_what_is_allowed_and_than_the_room(due: int, allowance: int, room: int):
    share = share_out(due, allowance, room)
    assert 0 <= share.alone + share.gather <= min(due, allowance, room)
    assert share.alone + share.gather > 0
    if due <= allowance:
        assert not share.gather


@given(st.integers(1, 500), st.integers(1, 30), st.integers(1, 10))
def test_what_is_due_goes_out_within_the_allowance_however_little_room_there_is(due: int, allowance: int, room: int):
    left, messages = due, 0
    while left:
        share = share_out(left, allowance - messages, room)
        messages += share.alone + share.gather
        left = 0 if share.gather else left - share.alone
    assert messages <= allowance


@given(st.integers(1, 60), st.floats(0, 1))
def test_waits_double_up_to_an_hour_and_differ_by_a_quarter(tries: int, chance: float):
    whole = min(3600.0, 10.0 * 2 ** (tries - 1))
    assert 0.75 * whole <= wait_after(tries, 10.0, None, chance) <= 1.25 * whole


def test_what_a_service_asks_for_is_waited_for_at_least_but_not_for_ever():
    assert wait_after(1, 10.0, 300.0, 0.0) == 300.0
    assert wait_after(1, 10.0, 1.0, 0.0) == 7.5
    assert wait_after(1, 10.0, 10**9, 0.0) == timedelta(days=1).total_seconds()
