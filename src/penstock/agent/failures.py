"""Why an attempt could not be launched: from an exception to phase, reason, message and hint. Pure."""

from dataclasses import dataclass

from penstock.errors import APIError, ConfigurationError, InfrastructureError, NotReachable, PenstockError, Unsupported
from penstock.model.reasons import Phase, Reason


@dataclass(frozen=True)
class Failure:
    phase: Phase
    reason: Reason
    message: str
    hint: str | None = None


def from_render(error: BaseException) -> Failure:
    """`error` came while the configuration was turned into a request: another try would end the same way."""
    reason = _reason(error.reason) if isinstance(error, InfrastructureError) else None
    hint = error.hint if isinstance(error, PenstockError) else None
    if isinstance(error, PenstockError):
        message = error.message
    elif isinstance(error, ValueError):  # pydantic's ValidationError is one
        message = f"The infrastructure's configuration is not valid: {error}"
    else:
        message = f"The job could not be built: {type(error).__name__}: {error}"
    if not hint and isinstance(error, ConfigurationError | Unsupported | ValueError):
        hint = "Correct the deployment's infrastructure or its overrides, apply it, and run again."
    return Failure(Phase.RENDER, reason or Reason.CONFIGURATION_INVALID, message, hint)


def handed_back(error: NotReachable) -> Failure:
    """The platform did not answer before anything was done for the attempt: its run is for whoever can reach it."""
    return Failure(Phase.CLAIM, Reason.INFRASTRUCTURE_UNAVAILABLE, error.message, error.hint)


def from_start(error: BaseException) -> Failure:
    """`error` came while the platform was asked to start the job."""
    if isinstance(error, InfrastructureError):
        reason = _reason(error.reason)
        if reason is None:
            unseen = error.code == "not_reachable"
            reason = Reason.INFRASTRUCTURE_UNAVAILABLE if unseen else Reason.START_FAILED
        return Failure(Phase.START, reason, error.message, error.hint)
    if isinstance(error, ConfigurationError):
        return Failure(Phase.START, Reason.CONFIGURATION_INVALID, error.message, error.hint)
    if isinstance(error, TimeoutError):
        return Failure(Phase.START, Reason.INFRASTRUCTURE_UNAVAILABLE, "The platform did not answer in time.")
    return Failure(Phase.START, Reason.START_FAILED, f"The job could not be started: {type(error).__name__}: {error}")


def from_intent(error: APIError) -> Failure:
    """The server could not take what is about to be done, and will not next time either."""
    return Failure(Phase.RENDER, Reason.CONFIGURATION_INVALID, error.message, error.hint)


def poisonous(launches: int) -> Failure:
    """The agent died each time it tried to launch this attempt."""
    return Failure(
        Phase.START,
        Reason.UNKNOWN,
        f"The agent died {launches} times while it launched this attempt, and does not try again.",
        "Look at the agent's log and at its host's memory, then run it again.",
    )


def _reason(text: str | None) -> Reason | None:
    try:
        return Reason(text) if text else None
    except ValueError:
        return None


def is_a_drivers_word(error: BaseException) -> bool:
    """Whether a driver raised `error` on purpose: then nothing of the job is left on its platform."""
    return isinstance(error, PenstockError)
