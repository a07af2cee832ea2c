"""Limits, leases and silence, one instant at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model.attempts import AttemptStatus, Limits
from penstock.model.reasons import Reason
from penstock.server.rules.limits import LAST_WORDS_SECONDS, Standing, Step, judge

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(start=100, run=1000, cancel=10, grace=5)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def standing(status: AttemptStatus, **values: Any) -> Standing:
    fields: dict[str, Any] = {
        "limits": LIMITS,
        "claimed_at": ago(50),
        "lease_expires_at": NOW + timedelta(seconds=5),
        "lease_over": False,
        "agent_alive": True,
        "job_name": "job-1",
        **values,
    }
    if status is AttemptStatus.RUNNING:
        fields.setdefault("running_at", ago(40))
    return Standing(status=status, **fields)


DEAD = {"lease_over": True, "agent_alive": False, "lease_expires_at": ago(1)}


@pytest.mark.parametrize("status", [AttemptStatus.CLAIMED, AttemptStatus.LAUNCHING, AttemptStatus.STARTED])
def test_within_its_limits_and_lease_nothing_is_done(status: AttemptStatus) -> None:
    assert judge(standing(status), NOW, 120).step is Step.NOTHING


def test_a_claim_without_a_lease_is_fenced_for_the_lost_agent() -> None:
    found = judge(standing(AttemptStatus.CLAIMED, **DEAD, agent_name="bob"), NOW, 120)
    assert found.step is Step.FENCE
    assert found.ending is not None
    assert found.ending.reason is Reason.AGENT_LOST
    assert "'bob'" in found.ending.message


@pytest.mark.parametrize("status", [AttemptStatus.LAUNCHING, AttemptStatus.STARTED])
@pytest.mark.parametrize(("alive", "step"), [(True, Step.STOP), (False, Step.FENCE)])
def test_a_start_limit_fences_through_the_agent_or_by_the_token(status: AttemptStatus, alive: bool, step: Step) -> None:
    found = judge(standing(status, claimed_at=ago(101), agent_alive=alive), NOW, 120)
    assert found.step is step
    assert (found.reason or (found.ending and found.ending.reason)) is Reason.START_TIMEOUT


def test_the_start_limit_of_a_run_claimed_early_counts_from_when_it_is_due() -> None:
    at = standing(AttemptStatus.LAUNCHING, claimed_at=ago(101), due_at=ago(50))
    assert judge(at, NOW, 120).step is Step.NOTHING


def test_no_limit_means_no_limit() -> None:
    at = standing(AttemptStatus.LAUNCHING, claimed_at=ago(1e7), limits=Limits(start=None))
    assert judge(at, NOW, 120).step is Step.NOTHING


def test_the_run_limit_counts_from_the_presented_token() -> None:
    at = standing(AttemptStatus.RUNNING, claimed_at=ago(5000), running_at=ago(999))
    assert judge(at, NOW, 120).step is Step.NOTHING
    late = judge(replace(at, running_at=ago(1000)), NOW, 120)
    assert (late.step, late.reason) == (Step.STOP, Reason.RUN_TIMEOUT)


def test_a_process_that_was_told_to_end_is_signalled_if_no_platform_says_more_in_time() -> None:
    at = standing(AttemptStatus.RUNNING, told_to_end_at=ago(LAST_WORDS_SECONDS - 1))
    assert judge(at, NOW, 1000).step is Step.NOTHING
    found = judge(replace(at, told_to_end_at=ago(LAST_WORDS_SECONDS)), NOW, 1000)
    assert found.step is Step.FENCE
    assert found.ending is not None
    assert found.ending.reason is Reason.SIGNALLED
    cancelled = replace(at, told_to_end_at=ago(LAST_WORDS_SECONDS), cancel_requested_at=ago(1))
    assert judge(cancelled, NOW, 1000).step is Step.NOTHING


@pytest.mark.parametrize("sign", ["running_at", "last_observed_at", "last_reported_at", "lease_expires_at"])
def test_any_sign_of_life_keeps_a_running_attempt_from_being_lost(sign: str) -> None:
    silent = {name: ago(200) for name in ("running_at", "last_observed_at", "last_reported_at", "lease_expires_at")}
    at = standing(AttemptStatus.RUNNING, **{**DEAD, **silent}, limits=Limits(), unobserved_since=ago(200))
    lost = judge(at, NOW, 120)
    assert lost.ending is not None
    assert lost.ending.reason is Reason.LOST
    assert judge(replace(at, **{sign: ago(119)}), NOW, 120).step is Step.NOTHING


def test_without_a_lease_it_is_marked_once() -> None:
    at = standing(AttemptStatus.STARTED, **DEAD)
    assert judge(at, NOW, 120).step is Step.MARK
    assert judge(replace(at, unobserved_since=ago(1)), NOW, 120).step is Step.NOTHING


def test_a_cancel_limit_passes_after_grace_and_cancel_together() -> None:
    at = standing(AttemptStatus.RUNNING, cancel_requested_at=ago(14.9), stop_reason=Reason.CANCELLED)
    assert judge(at, NOW, 120).step is Step.NOTHING
    forced = judge(replace(at, cancel_requested_at=ago(15)), NOW, 120)
    assert forced.ending is not None
    assert forced.ending.reason is Reason.CANCEL_FORCED
    assert "'job-1'" in forced.ending.message


def test_a_user_s_cancellation_waits_for_a_dead_agent_until_its_limit() -> None:
    at = standing(AttemptStatus.RUNNING, **DEAD, cancel_requested_at=ago(1), stop_reason=Reason.CANCELLED)
    assert judge(replace(at, unobserved_since=ago(1)), NOW, 120).step is Step.NOTHING
    limit = replace(at, stop_reason=Reason.RUN_TIMEOUT)
    assert judge(limit, NOW, 120).step is Step.FENCE


def test_a_job_whose_run_is_over_may_tidy_up_for_a_minute() -> None:
    at = standing(AttemptStatus.RUNNING, run_over_since=ago(59), running_at=ago(5000))
    assert judge(at, NOW, 120).step is Step.NOTHING
    assert judge(replace(at, run_over_since=ago(60)), NOW, 120).reason is Reason.SUPERSEDED


times = st.floats(0, 1e6).map(ago)
standings = st.builds(
    Standing,
    status=st.sampled_from([status for status in AttemptStatus if status is not AttemptStatus.ENDED]),
    limits=st.builds(
        Limits, start=st.floats(1, 1e5), run=st.floats(1, 1e5), cancel=st.floats(0, 1e4), grace=st.floats(0, 1e4)
    ),
    claimed_at=times,
    lease_expires_at=times,
    lease_over=st.booleans(),
    agent_alive=st.booleans(),
    running_at=st.none() | times,
    told_to_end_at=st.none() | times,
    cancel_requested_at=st.none() | times,
    stop_reason=st.sampled_from([Reason.CANCELLED, Reason.START_TIMEOUT, Reason.RUN_TIMEOUT, Reason.SUPERSEDED]),
    run_over_since=st.none() | times,
)


@given(standings)
def test_with_limits_every_attempt_comes_to_an_end(at: Standing) -> None:
    later = NOW + timedelta(seconds=1e7)
    found = judge(at, later, 120)
    assert found.step in (Step.STOP, Step.FENCE)
    if found.step is Step.STOP:
        ordered = replace(at, cancel_requested_at=later, stop_reason=found.reason)
        assert judge(ordered, later + timedelta(seconds=3e4), 120).step is Step.FENCE
