from hypothesis import given
from hypothesis import strategies as st

from penstock.engine import outcomes
from penstock.model.reasons import Reason
from penstock.model.states import State, StateType

FINAL = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]


def states(types):
    return [State(type=kind, data=number) for number, kind in enumerate(types)]


def test_a_plain_value_completes_the_run_and_is_kept():
    state = outcomes.from_return_value({"rows": 3})
    assert state.is_completed()
    assert state.result() == {"rows": 3}


def test_an_empty_list_is_a_value_like_any_other():
    assert outcomes.from_return_value([]).is_completed()


def test_a_returned_state_is_the_outcome_itself():
    own = State(type=StateType.FAILED, message="nothing came in")
    found = outcomes.from_return_value(own)
    assert (found.type, found.name, found.message, found.data) == (own.type, own.name, own.message, own.data)
    assert found.id != own.id, "a state belongs to one run"


def test_no_run_can_end_in_a_state_that_is_not_final():
    state = outcomes.from_return_value(State(type=StateType.RUNNING))
    assert state.is_failed()
    assert "Running" in state.message


def test_failed_states_are_counted():
    state = outcomes.from_return_value(states([StateType.COMPLETED, StateType.FAILED, StateType.CRASHED]))
    assert (state.type, state.message) == (StateType.FAILED, "2/3 states failed.")


@given(st.lists(st.sampled_from(list(StateType)), min_size=1))
def test_a_group_completes_only_if_every_one_of_it_does(types):
    kind, message = outcomes.judge(types)
    assert (kind is StateType.COMPLETED) == all(t is StateType.COMPLETED for t in types)
    assert kind in FINAL
    assert message


@given(st.lists(st.sampled_from(FINAL), min_size=1))
def test_the_order_of_a_group_does_not_matter(types):
    assert outcomes.judge(types) == outcomes.judge(sorted(types))


@given(st.lists(st.sampled_from(FINAL), min_size=1))
def test_one_cancelled_state_cancels_the_group(types):
    kind, _ = outcomes.judge([*types, StateType.CANCELLED])
    assert kind is StateType.CANCELLED


def test_a_failure_carries_type_text_and_reason_of_the_exception():
    error = ValueError("column 'x' is missing")
    state = outcomes.failed(error)
    assert state.message == "ValueError: column 'x' is missing"
    assert state.state_details.reason is Reason.USER_CODE_RAISED
    assert state.result(raise_on_failure=False) is error


def test_the_hint_of_an_exception_becomes_that_of_the_state():
    error = ValueError("no")
    error.hint = "say yes"
    assert outcomes.failed(error).state_details.hint == "say yes"
