"""Start, run and cancel limits, leases and lost attempts: judged by the server's clock alone. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from penstock.model.attempts import AttemptStatus, Limits
from penstock.model.reasons import Phase, Reason
from penstock.server.rules.attempts import TOLD_TO_END, Ending

#: Seconds for which a job may go on after its run is over, to tidy up, before it is stopped.
LINGER_SECONDS = 60.0
#: Seconds for which a platform may say why a process was told to end that has said so itself. ECS, the slowest of them,
#: confirms a stopped task within a minute or so.
LAST_WORDS_SECONDS = 120.0


class Step(StrEnum):
    """What is to be done with an attempt now.

    STOP: a cancel order to its agent, for `reason`. FENCE: it is ENDED with `ending`, whatever its job does. MARK:
    nobody looks after it.
    """

    NOTHING = "nothing"
    MARK = "mark"
    STOP = "stop"
    FENCE = "fence"


@dataclass(frozen=True)
class Judgement:
    step: Step
    reason: Reason | None = None
    ending: Ending | None = None


NOTHING = Judgement(Step.NOTHING)


@dataclass(frozen=True)
class Standing:
    """Where an open attempt stands. Times are the server's.

    `agent_alive`: its agent, or another one that can see its job, has a lease. `lease_over`: its own lease has run out,
    and may be judged.
    """

    status: AttemptStatus
    limits: Limits
    claimed_at: datetime
    lease_expires_at: datetime
    lease_over: bool
    agent_alive: bool
    due_at: datetime | None = None
    running_at: datetime | None = None
    told_to_end_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    stop_reason: Reason | None = None
    last_observed_at: datetime | None = None
    last_reported_at: datetime | None = None
    unobserved_since: datetime | None = None
    run_over_since: datetime | None = None
    run_paused: bool = False
    waiting_for: str | None = None
    said: str | None = None
    job_name: str | None = None
    agent_name: str | None = None
    phase: Phase = Phase.START


def judge(at: Standing, now: datetime, lost_seconds: float) -> Judgement:
    """The one thing to be done now with an attempt that stands so."""
    if at.cancel_requested_at is not None:
        return _judge_stopping(at, at.cancel_requested_at, now)
    if at.status is AttemptStatus.CLAIMED and at.lease_over:
        return Judgement(Step.FENCE, ending=_agent_lost(at))
    if at.told_to_end_at is not None and _passed(at.told_to_end_at, LAST_WORDS_SECONDS, now):
        return Judgement(Step.FENCE, ending=_told_to_end(at))
    reason = _limit_passed(at, now)
    if reason is not None:
        if at.agent_alive and at.status is not AttemptStatus.CLAIMED:
            return Judgement(Step.STOP, reason)
        return Judgement(Step.FENCE, ending=ending_of_limit(at, reason))
    if at.status is AttemptStatus.RUNNING and at.lease_over and _silent_for(at, now) >= lost_seconds:
        return Judgement(Step.FENCE, ending=_lost(at, lost_seconds))
    if at.lease_over and at.unobserved_since is None:
        return Judgement(Step.MARK)
    return NOTHING


def _judge_stopping(at: Standing, since: datetime, now: datetime) -> Judgement:
    reason = at.stop_reason or Reason.CANCELLED
    deadline = since + timedelta(seconds=at.limits.grace + at.limits.cancel)
    unattended = not at.agent_alive and reason is not Reason.CANCELLED
    if now >= deadline or unattended:
        return Judgement(Step.FENCE, ending=ending_of_limit(at, reason))
    if at.lease_over and at.unobserved_since is None:
        return Judgement(Step.MARK)
    return NOTHING


def _limit_passed(at: Standing, now: datetime) -> Reason | None:
    if at.run_over_since is not None:
        return Reason.SUPERSEDED if (now - at.run_over_since).total_seconds() >= LINGER_SECONDS else None
    if at.status is not AttemptStatus.RUNNING:
        begun = max(at.claimed_at, at.due_at) if at.due_at else at.claimed_at
        return Reason.START_TIMEOUT if _passed(begun, at.limits.start, now) else None
    if at.run_paused or at.limits.run is None:
        return None
    limit = at.limits.run + at.limits.paused
    return Reason.RUN_TIMEOUT if _passed(at.running_at or at.claimed_at, limit, now) else None


def _passed(since: datetime, limit: float | None, now: datetime) -> bool:
    return limit is not None and (now - since).total_seconds() >= limit


def _silent_for(at: Standing, now: datetime) -> float:
    signs = (at.running_at, at.last_observed_at, at.last_reported_at, at.lease_expires_at)
    return (now - max(sign for sign in signs if sign is not None)).total_seconds()


def _job(at: Standing) -> str:
    return f"job {at.job_name!r}" if at.job_name else "its job"


def _words(at: Standing) -> str:
    waiting = f" It was waiting for {at.waiting_for}." if at.waiting_for else ""
    said = f" The platform's last words: {at.said.strip()}" if at.said and at.said.strip() else ""
    return waiting + said


def ending_of_limit(at: Standing, reason: Reason) -> Ending:
    """How an attempt ends that is fenced because a limit passed and nobody could confirm that its job is gone."""
    unconfirmed = (
        ""
        if at.status is AttemptStatus.CLAIMED
        else f" That {_job(at)} is gone could not be confirmed; its token is revoked."
    )
    if reason is Reason.CANCELLED:
        message = (
            f"Cancelled, but within {at.limits.grace + at.limits.cancel:g} s nobody confirmed that {_job(at)} is gone."
        )
        return Ending(Reason.CANCEL_FORCED, at.phase, f"{message} Its token is revoked.{_words(at)}")
    if reason is Reason.START_TIMEOUT:
        message = f"The flow's process did not report in within the start limit of {at.limits.start or 0:g} s."
        return Ending(reason, at.phase, f"{message}{_words(at)}{unconfirmed}")
    if reason is Reason.RUN_TIMEOUT:
        return Ending(
            reason, at.phase, f"The flow ran longer than its run limit of {at.limits.run or 0:g} s.{unconfirmed}"
        )
    return Ending(Reason.SUPERSEDED, at.phase, f"The run was over but {_job(at)} lingered on.{unconfirmed}")


def _agent_lost(at: Standing) -> Ending:
    agent = f"Agent {at.agent_name!r}" if at.agent_name else "The agent"
    return Ending(
        Reason.AGENT_LOST, Phase.CLAIM, f"{agent} took the run and stopped answering before it started anything."
    )


def _told_to_end(at: Standing) -> Ending:
    message = f"{TOLD_TO_END} Its platform has not said within {LAST_WORDS_SECONDS:g} s why.{_words(at)}"
    return Ending(Reason.SIGNALLED, at.phase, message)


def _lost(at: Standing, lost_seconds: float) -> Ending:
    message = f"For more than {lost_seconds:g} s neither an agent nor the flow's process has been heard of."
    return Ending(Reason.LOST, at.phase, f"{message} The token of {_job(at)} is revoked.{_words(at)}")
