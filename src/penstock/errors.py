"""Every error that Penstock raises on purpose.

PenstockError
├── ConfigurationError      what you set cannot work; names the setting and where it came from
├── APIError                the server said no, or nothing
│   ├── Unreachable         nobody answered
│   ├── NotAuthorized
│   ├── NotFound
│   ├── Invalid             the request is wrong; names the field
│   ├── Conflict            somebody was there first
│   └── Refused             a rule said no; names the rule
├── CodeError               your code could not be found, imported, or has no such flow
├── ParameterError          the arguments do not fit the flow's parameters
├── MissingContext          it was called outside of a flow or task run
├── ResultError             a result could not be read from where it was written
│   └── SerializationError  a value cannot be written down, or not be read back from what was written
├── DeliveryError           a message could not be handed over to the service that it is for
├── InfrastructureError     the platform
│   ├── Unsupported         it cannot do that; raised before anything starts; says why
│   ├── JobRejected         start failed; what was made has been removed
│   ├── JobNotFound         it is gone
│   └── NotReachable        it lives where this agent cannot see
└── RunError                a run ended without a result
    ├── RunFailed           your function raised; the cause is attached
    ├── RunCrashed          something around it broke
    ├── RunCancelled        somebody stopped it
    ├── RunPaused           it waits to be resumed
    ├── FlowPauseTimeout    nobody resumed it in time
    ├── NotPausedError      it cannot be resumed: it is not paused
    ├── FlowRunWaitTimeout  it is not over yet, and whoever waited waits no longer
    └── RunNotFinished      it has no final state yet

A message says what happened, why, and, where there is one, what to do next.
"""

import difflib
from collections.abc import Iterable


class PenstockError(Exception):
    """The root: catch it to catch everything that Penstock raises on purpose.

    `code` is a stable word for machines; `hint` is one next step for people, or None.
    """

    code: str = "error"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.message


class ConfigurationError(PenstockError):
    """What was set cannot work. The message names the setting and where it came from."""

    code = "configuration"


class APIError(PenstockError):
    """The server refused, or gave no usable answer. `status` is the HTTP status, None when nobody answered."""

    code = "api"

    def __init__(
        self, message: str, *, code: str | None = None, hint: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.status = status


class Unreachable(APIError):
    """Nobody answered at the API's address, or only with 429 and 5xx until the time for retries was over."""

    code = "unreachable"


class NotAuthorized(APIError):
    """The server wants a key, or the key is not allowed to do this."""

    code = "not_authorized"


class NotFound(APIError):
    """There is no such object."""

    code = "not_found"


class Invalid(APIError):
    """The request itself is wrong: the message names the field and the nearest right name where there is one."""

    code = "invalid"


class Conflict(APIError):
    """Somebody was there first: the name is taken, or the object has changed."""

    code = "conflict"


class Refused(APIError):
    """A rule said no. The message names it."""

    code = "refused"


class CodeError(PenstockError):
    """Flow code could not be found or imported, or holds no such flow. The cause, if any, is attached."""

    code = "code"


class ParameterError(PenstockError):
    """The arguments of a call do not fit the flow's parameters."""

    code = "parameters"


class MissingContext(PenstockError):
    """Something that only has a meaning inside of a run was used outside of one."""

    code = "missing_context"


class ResultError(PenstockError):
    """A result could not be read from where it was written: it is gone, damaged, or out of reach from here."""

    code = "result"


class SerializationError(ResultError):
    """A value cannot be written down by its serializer, or what was written cannot be read back."""

    code = "serialization"


class DeliveryError(PenstockError):
    """A message could not be handed over: nobody answered, or the service refused it. The service's own words are in it.

    `retry_after`: the seconds after which the service wants to be asked again, if it said so.
    """

    code = "delivery"

    def __init__(
        self, message: str, *, code: str | None = None, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.retry_after = retry_after


class InfrastructureError(PenstockError):
    """A platform failed or refused. `reason` is a `penstock.model.reasons.Reason` value, if it is known."""

    code = "infrastructure"

    def __init__(
        self, message: str, *, code: str | None = None, hint: str | None = None, reason: str | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.reason = reason


class Unsupported(InfrastructureError):
    """The platform cannot do what the configuration asks. Raised by `render`, before anything starts."""

    code = "unsupported"


class JobRejected(InfrastructureError):
    """The job was not accepted, and nothing of it is left behind."""

    code = "job_rejected"


class JobNotFound(InfrastructureError):
    """The job is gone."""

    code = "job_not_found"


class NotReachable(InfrastructureError):
    """The job lives where this agent cannot see it: another host, another cluster, a platform that is down."""

    code = "not_reachable"


class StillPreparing(InfrastructureError):
    """The job is not started yet: its platform is busy with what it needs first. Ask again.

    `message` says what that is, for people; `phase` is a `penstock.model.reasons.Phase` value.
    """

    code = "still_preparing"

    def __init__(self, message: str, *, phase: str = "image") -> None:
        super().__init__(message)
        self.phase = phase


class RunError(PenstockError):
    """A run ended without a result."""

    code = "run"


class RunFailed(RunError):
    """The run's own code raised; that exception is the cause where it is still known."""

    code = "run_failed"


class RunCrashed(RunError):
    """Something around the code broke: the process died, the platform took it away, it never started."""

    code = "run_crashed"


class RunCancelled(RunError):
    """Somebody stopped the run."""

    code = "run_cancelled"


class RunPaused(RunError):
    """The run waits to be resumed."""

    code = "run_paused"


class FlowPauseTimeout(RunError):
    """The run was paused or suspended, and nobody resumed it in time. It has failed with that."""

    code = "pause_expired"


class NotPausedError(RunError):
    """Only a paused run can be resumed, and this one is not."""

    code = "not_paused"


class FlowRunWaitTimeout(RunError, TimeoutError):
    """The run has not ended in the time that somebody wanted to wait. It goes on."""

    code = "wait_timeout"


class RunNotFinished(RunError):
    """The run has no final state yet."""

    code = "run_not_finished"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that somebody who typed `name` most likely meant, or None if nothing is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence fragment, " Did you mean 'x'?", to append to a message about an unknown name; empty if nothing is close."""
    found = nearest(name, known)
    return f" Did you mean '{found}'?" if found else ""
