"""The sweep touches only what is provably over, and only after its safety age."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.sweep import KEEP_SECONDS, SAFETY_SECONDS, UNKNOWN_SECONDS, Fate, judge
from penstock.infrastructure.base import Found, Handle
from penstock.model.attempts import Attempt, AttemptStatus, Exit, Limits
from penstock.model.reasons import Reason

OPEN = [status for status in AttemptStatus if status is not AttemptStatus.ENDED]


def _found(ended: bool, keep: bool | None = None) -> Found:
    return Found(handle=Handle("fake", 1, {}), job_name="job", attempt_id=uuid4(), ended=ended, keep=keep)


def _attempt(status: AttemptStatus, code: int | None = None) -> Attempt:
    return Attempt(id=uuid4(), flow_run_id=uuid4(), number=1, status=status, exit=Exit(code=code))


@given(st.sampled_from(OPEN), st.booleans(), st.floats(0, 1e9))
def test_a_job_whose_attempt_is_open_is_never_touched(status: AttemptStatus, ended: bool, age: float) -> None:
    assert judge(_found(ended), _attempt(status), age) is Fate.LEAVE


@pytest.mark.parametrize(
    ("attempt", "age"),
    [(None, UNKNOWN_SECONDS), (_attempt(AttemptStatus.ENDED), SAFETY_SECONDS + Limits().grace)],
)
def test_a_running_job_that_nobody_answers_for_is_stopped_after_its_safety_age(
    attempt: Attempt | None, age: float
) -> None:
    assert judge(_found(False), attempt, age - 1) is Fate.LEAVE
    assert judge(_found(False), attempt, age) is Fate.STOP


def test_what_is_left_of_a_success_goes_early_and_of_a_failure_late() -> None:
    assert judge(_found(True), _attempt(AttemptStatus.ENDED, code=0), SAFETY_SECONDS) is Fate.REMOVE
    assert judge(_found(True), _attempt(AttemptStatus.ENDED, code=3), KEEP_SECONDS - 1) is Fate.LEAVE
    assert judge(_found(True), _attempt(AttemptStatus.ENDED, code=3), KEEP_SECONDS) is Fate.REMOVE


@pytest.mark.parametrize(
    ("reason", "exit_", "fate"),
    [
        (None, None, Fate.REMOVE),  # the flow has told that it ended well, and nobody saw its job end
        (Reason.LOST, None, Fate.LEAVE),
        (Reason.CANCELLED, None, Fate.REMOVE),
        (Reason.CANCELLED, Exit(code=143), Fate.REMOVE),
    ],
)
def test_what_ended_well_or_was_cancelled_goes_early_though_nobody_saw_it(
    reason: Reason | None, exit_: Exit | None, fate: Fate
) -> None:
    over = _attempt(AttemptStatus.ENDED).model_copy(update={"reason": reason, "exit": exit_})
    assert judge(_found(True), over, SAFETY_SECONDS) is fate


@pytest.mark.parametrize("code", [0, 3])
def test_what_is_left_of_a_job_goes_early_or_late_as_its_configuration_says(code: int) -> None:
    over = _attempt(AttemptStatus.ENDED, code=code)
    assert judge(_found(True, keep=False), over, SAFETY_SECONDS) is Fate.REMOVE
    assert judge(_found(True, keep=True), over, KEEP_SECONDS - 1) is Fate.LEAVE
    assert judge(_found(True, keep=True), over, KEEP_SECONDS) is Fate.REMOVE


def test_what_is_left_of_a_job_that_the_server_does_not_know_goes_later_still() -> None:
    assert judge(_found(True, keep=False), None, UNKNOWN_SECONDS - 1) is Fate.LEAVE
    assert judge(_found(True, keep=False), None, UNKNOWN_SECONDS) is Fate.REMOVE
    assert judge(_found(True), None, KEEP_SECONDS - 1) is Fate.LEAVE
