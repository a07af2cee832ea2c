"""States as users make and ask them."""

from datetime import UTC, datetime, timedelta

import pytest

from penstock import clock, states
from penstock.errors import RunCancelled, RunCrashed, RunFailed
from penstock.model.reasons import Reason
from penstock.states import Cancelled, Completed, Crashed, Failed, StateGroup, StateType


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Completed", "COMPLETED"), ("Failed", "FAILED"), ("Crashed", "CRASHED"), ("Cancelled", "CANCELLED"),
        ("Cancelling", "CANCELLING"), ("Pending", "PENDING"), ("Running", "RUNNING"), ("Retrying", "RUNNING"),
        ("Scheduled", "SCHEDULED"), ("Late", "SCHEDULED"), ("AwaitingRetry", "SCHEDULED"),
        ("AwaitingConcurrencySlot", "SCHEDULED"), ("Paused", "PAUSED"), ("Suspended", "PAUSED"),
    ],
)  # fmt: skip
def test_each_constructor_makes_the_state_of_its_name(name, kind):
    state = getattr(states, name)(message="why")
    assert (state.name, state.type, state.message) == (name, StateType(kind), "why")
    assert getattr(states, name)(name="Mine").name == "Mine"


def test_scheduled_states_have_a_time():
    when = datetime(2030, 1, 1, tzinfo=UTC)
    assert states.Scheduled(when).state_details.scheduled_time == when
    assert states.AwaitingRetry(scheduled_time=when).state_details.scheduled_time == when
    assert states.Late().state_details.scheduled_time <= clock.now()


def test_pauses_know_when_they_are_over():
    when = datetime(2030, 1, 1, tzinfo=UTC)
    details = states.Paused(pause_expiration_time=when, reschedule=True, pause_key="k").state_details
    assert (details.pause_timeout, details.pause_reschedule, details.pause_key) == (when, True, "k")
    soon = states.Suspended(timeout_seconds=60).state_details
    assert soon.pause_reschedule
    assert timedelta(0) < soon.pause_timeout - clock.now() <= timedelta(seconds=60)
    assert states.Paused().state_details.pause_timeout is None
    with pytest.raises(ValueError, match="not both"):
        states.Paused(timeout_seconds=1, pause_expiration_time=when)


def test_exceptions_of_states():
    error = KeyError("k")
    assert states.get_state_exception(Failed(data=error)) is error
    kinds = [type(states.get_state_exception(state)) for state in (Failed(), Crashed(), Cancelled())]
    assert kinds == [RunFailed, RunCrashed, RunCancelled]
    with pytest.raises(KeyError):
        states.raise_state_exception(Failed(data=error))
    assert states.raise_state_exception(Completed()) is None
    with pytest.raises(ValueError, match="only failed, crashed and cancelled"):
        states.get_state_exception(Completed())


def test_states_of_exceptions():
    failed = states.exception_to_failed_state(ZeroDivisionError("by zero"), name="Mine")
    assert (failed.type, failed.name, failed.message) == (StateType.FAILED, "Mine", "ZeroDivisionError: by zero")
    assert failed.state_details.reason is Reason.USER_CODE_RAISED
    handled = KeyError("handled")
    try:
        raise handled
    except KeyError:
        found = states.exception_to_failed_state()
    assert found.data is handled
    with pytest.raises(ValueError, match="no exception here"):
        states.exception_to_failed_state()
    crashed = states.exception_to_crashed_state(KeyboardInterrupt())
    assert crashed.is_crashed()
    assert isinstance(crashed.data, KeyboardInterrupt)


def test_states_and_collections_of_them_are_told_from_other_values():
    assert states.is_state(Completed())
    assert not states.is_state("Completed")
    assert states.is_state_iterable([Completed()])
    assert states.is_state_iterable((Completed(), Failed()))
    assert not any(map(states.is_state_iterable, [[], [Completed(), 1], Completed(), "x", {"a": Completed()}]))


def test_return_values_mean_states():
    assert states.return_value_to_state(5).result() == 5
    found = states.return_value_to_state((Completed(data=1), Failed()))
    assert (found.type, found.message) == (StateType.FAILED, "1/2 states failed.")
    assert isinstance(found.data, tuple)
    assert states.get_state_result(Completed(data=3)) == 3


def test_groups_of_states_are_counted():
    group = StateGroup([Completed(), Failed(), Crashed(), states.Running()])
    assert (group.fail_count, group.final_count, group.not_final_count, group.total_count) == (2, 3, 1, 4)
    assert group.any_failed()
    assert not any([group.all_completed(), group.all_final(), group.any_cancelled()])
    assert group.counts_message() == "2/4 states failed."
    assert StateGroup([Completed()]).all_completed()
