"""The sweep touches only what is provably over, and only after its safety age."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.sweep import KEEP_SECONDS, SAFETY_SECONDS, UNKNOWN_SECONDS, Fate, judge
from penstock.infrastructure.base import Found, Handle
from penstock.model.attempts import Attempt, AttemptStatus, Exit, Limits

OPEN = [status for status in AttemptStatus if status is not AttemptStatus.ENDED]


def _found(ended: bool) -> Found:
    return Found(handle=Handle("fake", 1, {}), job_name="job", attempt_id=uuid4(), ended=ended)


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
