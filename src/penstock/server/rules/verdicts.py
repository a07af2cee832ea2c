"""What a rule decides about a proposed state: the answer, and what is to be written."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.model.states import Answer, AnswerDetails, State, StateCreate, StateDetails, StateType
from penstock.model.transitions import is_allowed


@dataclass(frozen=True)
class Verdict:
    """`write`: the states to write, in order; empty when nothing changes.

    `policy`: what to change in the run's empirical policy. `tells_state`: whether the answer carries the run's state.
    `last_words`: what was proposed is noted on the run's attempt.
    """

    answer: Answer
    write: tuple[StateCreate, ...] = ()
    reason: str | None = None
    delay_seconds: float | None = None
    policy: dict[str, Any] = field(default_factory=dict)
    tells_state: bool = True
    last_words: bool = False

    def details(self) -> AnswerDetails:
        kind = f"{self.answer.value.lower()}_details"
        return AnswerDetails(type=kind, reason=self.reason, delay_seconds=self.delay_seconds)


def accept(*write: StateCreate, **policy: Any) -> Verdict:
    return Verdict(Answer.ACCEPT, write, policy=policy)


def reject(reason: str, *write: StateCreate, **policy: Any) -> Verdict:
    """Another state than the proposed one is written, or none."""
    return Verdict(Answer.REJECT, write, reason, policy=policy)


def note(reason: str) -> Verdict:
    """Nothing is written of the run yet: what its process says is kept until its platform says more."""
    return Verdict(Answer.REJECT, (), reason, last_words=True)


def wait(reason: str, seconds: float) -> Verdict:
    """Ask again after so many seconds: whole ones, at least one."""
    return Verdict(Answer.WAIT, (), reason, float(max(1, -int(-seconds // 1))))


def abort(reason: str) -> Verdict:
    """Stop proposing: whoever asks has lost touch with the run."""
    return Verdict(Answer.ABORT, (), reason, tells_state=False)


def unjudged(current: State | None, proposed: StateCreate, *, force: bool) -> Verdict | None:
    """The verdict that no rule is asked for: a proposal that comes again, or that somebody insists on. None: ask them."""
    if current is not None and is_repeated(current, proposed):
        return repeated(current, proposed)
    return accept(proposed) if force else None


def within_table(what: str, current: State | None, proposed: StateCreate, verdict: Verdict) -> Verdict:
    """`verdict`, unless it accepts, or writes instead, what the table of transitions does not have. `what` is the run, for
    people.
    """
    before = current.type if current is not None else None
    wanted = (*((proposed,) if verdict.answer is Answer.ACCEPT else ()), *verdict.write[:1])
    if not all(is_allowed(before, state.type, state.name) for state in wanted):
        return abort(f"A {what} that is {current.name if current else 'new'} cannot become {proposed.type.value}")
    return verdict


def is_repeated(current: State | None, proposed: StateCreate) -> bool:
    """Whether `proposed` is what `current` came from: the answer was lost on its way and the proposal sent again."""
    if current is None:
        return False
    if proposed.id is not None and proposed.id == current.id:
        return True
    transition = proposed.state_details.transition_id if proposed.state_details is not None else None
    return transition is not None and transition == current.state_details.transition_id


def repeated(current: State, proposed: StateCreate) -> Verdict:
    """The answer that was given the first time. Nothing is written."""
    if current.type is proposed.type:
        return Verdict(Answer.ACCEPT)
    return Verdict(Answer.REJECT, (), current.message or f"The run is {current.name}")


def with_details(state: StateCreate, **changes: Any) -> StateCreate:
    """`state` with some of its details set."""
    details = (state.state_details or StateDetails()).model_copy(update=changes)
    return state.model_copy(update={"state_details": details})


def instead(proposed: StateCreate, type_: StateType, name: str, message: str | None, **details: Any) -> StateCreate:
    """Another state in the place of `proposed`, which keeps the mark by which a repeated proposal is known again."""
    transition = proposed.state_details.transition_id if proposed.state_details is not None else None
    marks = {"transition_id": transition, **details}
    return StateCreate(type=type_, name=name, message=message, state_details=StateDetails(**marks))


def due_later(current: State | None, now: datetime) -> float:
    """Seconds until the time for which `current` is scheduled; 0 if that has come."""
    due = current.state_details.scheduled_time if current is not None else None
    return max(0.0, (due - now).total_seconds()) if due is not None else 0.0
