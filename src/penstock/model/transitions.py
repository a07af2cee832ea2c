"""The table of states: which type may follow which. Pure data and two pure functions, used by server and engine alike.

What else a rule may want to know (retries, limits, attempts) is judged by `penstock.server.rules` for flow runs and by the
engine for its own task runs; neither may ever step outside of this table.
"""

from penstock.model.states import TERMINAL, StateType

S = StateType.SCHEDULED
P = StateType.PENDING
R = StateType.RUNNING
W = StateType.PAUSED
X = StateType.CANCELLING

#: type now (None: the run is new) -> types that may follow.
ALLOWED: dict[StateType | None, frozenset[StateType]] = {
    None: frozenset(StateType) - {X},
    S: frozenset(StateType) - {W},
    P: frozenset(StateType) - {P},
    R: frozenset(StateType) - {P},
    W: frozenset({S, R, X, *TERMINAL}),
    X: frozenset({StateType.CANCELLED, StateType.CRASHED}),
    StateType.COMPLETED: frozenset({S}),
    StateType.FAILED: frozenset({S}),
    StateType.CRASHED: frozenset({S}),
    StateType.CANCELLED: frozenset({S}),
}

#: The only name under which a finished run may be scheduled again: somebody asked for another go.
RERUN_NAME = "AwaitingRetry"
#: The name of a paused run whose process has left, or is about to; the server gives it.
SUSPENDED = "Suspended"
#: The name under which a suspended run is scheduled when it is resumed.
RESUMING = "Resuming"
#: A planned run that was missed, and that its schedule does not make up for; the server gives it.
SKIPPED = "Skipped"

#: A task run that waits for a slot of a tag's limit.
AWAITING_SLOT = "AwaitingConcurrencySlot"

#: The named sub-states of each type; the first is the default.
NAMES: dict[StateType, tuple[str, ...]] = {
    S: ("Scheduled", "Late", RERUN_NAME, RESUMING, AWAITING_SLOT),
    P: ("Pending", "Launching"),
    R: ("Running", "Retrying"),
    W: ("Paused", SUSPENDED),
    X: ("Cancelling",),
    StateType.CANCELLED: ("Cancelled", SKIPPED),
    StateType.COMPLETED: ("Completed", "Cached"),
    StateType.FAILED: ("Failed", "TimedOut"),
    StateType.CRASHED: ("Crashed",),
}


def is_allowed(current: StateType | None, proposed: StateType, proposed_name: str | None = None) -> bool:
    """Whether a run in `current` may go to `proposed`. A finished run may only be asked to run again."""
    if proposed not in ALLOWED[current]:
        return False
    return not (current in TERMINAL and proposed_name != RERUN_NAME)


def reachable(start: StateType | None) -> frozenset[StateType]:
    """Every type that some sequence of allowed transitions leads to from `start`."""
    seen: set[StateType] = set()
    frontier = list(ALLOWED[start])
    while frontier:
        state = frontier.pop()
        if state not in seen:
            seen.add(state)
            frontier.extend(ALLOWED[state])
    return frozenset(seen)
