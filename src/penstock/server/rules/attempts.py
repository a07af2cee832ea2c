"""What the end of an attempt means for its run. Pure: evidence in, verdict out."""

import signal as signals
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from penstock.model.attempts import AttemptStatus, Exit
from penstock.model.reasons import INFRASTRUCTURE_RETRIABLE, Phase, Reason
from penstock.model.states import TERMINAL, StateType
from penstock.server.rules.last_words import proof
from penstock.server.rules.reasons import hint

#: Further reasons for which a new launch makes sense as long as no user code has run.
RETRIABLE_BEFORE_START = frozenset({Reason.SIGNALLED, Reason.DELETED, Reason.API_LOST, Reason.UNKNOWN})
#: How often a run may be handed on because its agent vanished before starting anything. More often, the run itself is
#: the
#: likeliest cause.
MOST_AGENT_LOSSES = 10
#: Seconds until a run is offered again that an agent gave back because its platform did not answer; doubled with each
#: attempt.
HANDED_BACK_DELAY = 5.0
#: Exit codes of shells for a command that is not there or cannot be executed.
COMMAND_EXIT_CODES = frozenset({126, 127})
#: Exit code of an engine that could not reach the API for as long as it may go on without.
UNREACHABLE_EXIT_CODE = 69
#: Exit code of an engine that was told to end by SIGTERM, and of a shell whose program was.
TERMINATED_EXIT_CODE = 143
#: Longest delay in seconds before infrastructure is tried again.
LONGEST_RETRY_DELAY = 300.0


@dataclass(frozen=True)
class Ending:
    """How an attempt ended: one reason, where on its way, in words."""

    reason: Reason
    phase: Phase
    message: str
    hint: str | None = None

    @property
    def advice(self) -> str:
        return self.hint or hint(self.reason)

    @property
    def sentence(self) -> str:
        """The message so that more can follow: a platform's words seldom end with a full stop."""
        return as_sentence(self.message)


@dataclass(frozen=True)
class RunFacts:
    """What a verdict needs to know of the run. `pause_reschedule`: a paused run whose process may leave."""

    id: UUID
    state_type: StateType
    infra_failures: int = 0
    pause_reschedule: bool = False
    agent_losses: int = 0


@dataclass(frozen=True)
class RetryBudget:
    """The infrastructure's budget: how many launches may be repeated, and the first delay in seconds."""

    retries: int = 3
    delay: float = 2.0


@dataclass(frozen=True)
class Verdict:
    """What becomes of the run.

    "nothing": its state stays. "state": it goes to `state_type`. "reschedule": it is launched again after `delay`
    seconds, which
    counts against the infrastructure's budget if `spends`.
    """

    action: Literal["nothing", "state", "reschedule"]
    state_type: StateType | None = None
    message: str | None = None
    delay: float = 0.0
    spends: bool = False


NOTHING = Verdict("nothing")


def has_started(status: AttemptStatus, running: bool = False) -> bool:
    """Whether user code may have run: the engine has presented the attempt's token."""
    return running or status is AttemptStatus.RUNNING


def phase_of(status: AttemptStatus, run: StateType, seen: Phase | None = None) -> Phase:
    """Where an attempt is on its way; `seen` is what the platform's last observation said."""
    if status is AttemptStatus.CLAIMED:
        return Phase.CLAIM
    if status is AttemptStatus.RUNNING:
        return Phase.IMPORT if run is StateType.PENDING else Phase.RUN
    return seen or Phase.START


def signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def ending_of_exit(
    exited: Exit,
    *,
    started: bool,
    phase: Phase,
    stop_reason: Reason | None = None,
    told_to_end: bool = False,
    output_tail: str = "",
) -> Ending:
    """What the end of a job means by itself. `stop_reason`: we had asked for it. `told_to_end`: its process said so.
    `output_tail`: the end of its output, as far as that is known."""
    if not started and stop_reason is None and exited.reason in {None, Reason.EXITED}:
        proven = proof(exited.code, output_tail)
        if proven is not None:
            return Ending(proven.reason, phase, with_words(as_sentence(proven.message), exited.message), proven.hint)
    reason, message = _read_exit(exited, started, told_to_end)
    if stop_reason in {Reason.START_TIMEOUT, Reason.RUN_TIMEOUT, Reason.CANCELLED, Reason.SUPERSEDED}:
        # of a job that never ran its platform says so; that nobody knows how a process ended would tell of one
        known = exited.oom or told_to_end or exited.code is not None or exited.signal is not None
        then = f" Then: {message[0].lower()}{message[1:]}" if known or not exited.message else ""
        reason, message = stop_reason, STOPPED[stop_reason] + then
    return Ending(reason, phase, with_words(message, exited.message))


#: What is known of a process that said itself that it was told to end: by whom, and why, its platform may know.
TOLD_TO_END = "The flow's process was told to end by a signal."
STOPPED: dict[Reason, str] = {
    Reason.START_TIMEOUT: "The start limit passed before the flow's process reported in, so the job was stopped.",
    Reason.RUN_TIMEOUT: "The run limit passed, so the job was stopped.",
    Reason.CANCELLED: "The run was cancelled and its job stopped.",
    Reason.SUPERSEDED: "The run was over but its job lingered on, so it was stopped.",
}


def _read_exit(exited: Exit, started: bool, told_to_end: bool) -> tuple[Reason, str]:
    before = "" if started else " before it had reported in"
    if exited.oom or exited.reason is Reason.OUT_OF_MEMORY:
        return Reason.OUT_OF_MEMORY, f"The flow's process was killed{before} because it ran out of memory."
    how = Reason.UNKNOWN, f"The flow's process ended{before}; how is not known."
    if told_to_end:
        how = Reason.SIGNALLED, TOLD_TO_END
    elif exited.signal is not None:
        name = signal_name(exited.signal)
        shown = name if name.endswith(f" {exited.signal}") else f"{name} (signal {exited.signal})"
        how = Reason.SIGNALLED, f"The flow's process was killed by {shown}{before}."
    elif exited.code is not None:
        how = _read_code(exited.code, started)
    # that it exited is all that a platform knows of an exit code; what it means depends on how far the run had come
    return how if exited.reason in {None, Reason.EXITED} else (exited.reason, how[1])


def _read_code(code: int, started: bool) -> tuple[Reason, str]:
    if code == 0:
        return Reason.EXITED, "The flow's process ended without reporting a final state (exit code 0)."
    if code == UNREACHABLE_EXIT_CODE:
        return Reason.API_LOST, f"The flow's process gave up because it could not reach the API (exit code {code})."
    if code == TERMINATED_EXIT_CODE:
        return Reason.SIGNALLED, f"{TOLD_TO_END[:-1]} (exit code {code})."
    if started:
        return Reason.EXITED, f"The flow's process ended with exit code {code} without reporting a final state."
    if code in COMMAND_EXIT_CODES:
        return Reason.COMMAND_NOT_FOUND, f"The job's command could not be executed (exit code {code})."
    return Reason.START_FAILED, f"The job ended with exit code {code} before the flow's process had reported in."


def as_sentence(text: str) -> str:
    """`text` with an end that more can follow."""
    text = text.rstrip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def with_words(sentence: str, words: str | None) -> str:
    """Our sentence, and the platform's own words where there are any."""
    words = (words or "").strip()
    return f"{sentence} The platform says: {words}" if words and words not in sentence else sentence


def verdict(ending: Ending, run: RunFacts, *, started: bool, budget: RetryBudget, number: int = 1) -> Verdict:
    """What becomes of the run when its attempt `number` has ended so, and is confirmed gone or fenced."""
    if run.state_type in TERMINAL or run.state_type is StateType.SCHEDULED:
        return NOTHING
    if run.state_type is StateType.CANCELLING:
        return Verdict("state", StateType.CANCELLED, ending.message)
    if run.state_type is StateType.PAUSED and run.pause_reschedule:
        return NOTHING
    if ending.reason is Reason.CANCELLED or ending.reason is Reason.CANCEL_FORCED:
        return Verdict("state", StateType.CANCELLED, ending.message)
    if ending.reason is Reason.AGENT_LOST and not started:
        return _hand_on(ending, run)
    if is_handed_back(ending) and not started:
        message = f"{ending.sentence} Nothing was started; it waits for an agent whose platform answers."
        # an agent that offers what it cannot reach must not pass the run to and fro
        delay = min(HANDED_BACK_DELAY * 2.0 ** min(number - 1, 30), LONGEST_RETRY_DELAY)
        return Verdict("reschedule", StateType.SCHEDULED, message, delay)
    if is_retriable(ending.reason, started) and run.state_type is not StateType.PAUSED:
        return _retry(ending, run, budget, number)
    return Verdict("state", StateType.CRASHED, ending.message)


def is_retriable(reason: Reason, started: bool) -> bool:
    """Whether another launch may well succeed without anybody changing anything."""
    if not started:
        return reason in INFRASTRUCTURE_RETRIABLE or reason in RETRIABLE_BEFORE_START
    return reason in INFRASTRUCTURE_RETRIABLE and reason is not Reason.HOST_REBOOTED


def is_handed_back(ending: Ending) -> bool:
    """Whether an agent gave the run back as it got it, because the platform did not answer it."""
    return ending.reason is Reason.INFRASTRUCTURE_UNAVAILABLE and ending.phase is Phase.CLAIM


def _hand_on(ending: Ending, run: RunFacts) -> Verdict:
    if run.agent_losses >= MOST_AGENT_LOSSES:
        message = (
            f"{ending.sentence} That happened {run.agent_losses} times, so the run is not handed to yet another agent."
        )
        return Verdict("state", StateType.CRASHED, message)
    return Verdict("reschedule", StateType.SCHEDULED, f"{ending.sentence} It waits for an agent again.")


def _retry(ending: Ending, run: RunFacts, budget: RetryBudget, number: int) -> Verdict:
    if run.infra_failures >= budget.retries:
        tried = f" It was launched {run.infra_failures + 1} times." if run.infra_failures else ""
        return Verdict("state", StateType.CRASHED, f"{ending.sentence}{tried}" if tried else ending.message)
    delay = retry_delay(budget.delay, run.infra_failures, run.id, number)
    message = (
        f"{ending.sentence} It is launched again in {delay:.1f} s (try {run.infra_failures + 1} of {budget.retries})."
    )
    return Verdict("reschedule", StateType.SCHEDULED, message, delay, spends=True)


def retry_delay(first: float, failures: int, run_id: UUID, number: int) -> float:
    """Seconds: `first`, doubled per failure, up to a quarter more. The jitter comes from the run itself, so it can be
    told again."""
    spread = ((run_id.int >> 8) + number * 0x9E3779B1) % 1024 / 1024
    return min(first * 2.0**failures, LONGEST_RETRY_DELAY) * (1 + spread / 4)
