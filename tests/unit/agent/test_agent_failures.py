"""What could not be launched says where it stopped and why, from the closed list."""

import pytest

from penstock.agent import failures
from penstock.errors import ConfigurationError, JobRejected, NotReachable, Unsupported
from penstock.model.reasons import INFRASTRUCTURE_RETRIABLE, Phase, Reason


@pytest.mark.parametrize(
    "error", [ConfigurationError("no such field 'x'"), Unsupported("no GPUs here"), ValueError("bad"), KeyError("bug")]
)
def test_a_configuration_that_cannot_be_rendered_is_never_tried_again(error: Exception) -> None:
    failure = failures.from_render(error)
    assert (failure.phase, failure.reason) == (Phase.RENDER, Reason.CONFIGURATION_INVALID)
    assert failure.reason not in INFRASTRUCTURE_RETRIABLE
    assert str(error).strip("'") in failure.message


def test_the_drivers_own_reason_is_kept() -> None:
    failure = failures.from_start(JobRejected("no room", reason=Reason.NO_CAPACITY, hint="make some"))
    assert failure == failures.Failure(Phase.START, Reason.NO_CAPACITY, "no room", "make some")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotReachable("down"), Reason.INFRASTRUCTURE_UNAVAILABLE),
        (TimeoutError(), Reason.INFRASTRUCTURE_UNAVAILABLE),
        (JobRejected("refused"), Reason.START_FAILED),
        (JobRejected("refused", reason="NotInTheList"), Reason.START_FAILED),
        (RuntimeError("bug"), Reason.START_FAILED),
    ],
)
def test_a_start_that_failed_for_no_named_reason_gets_the_nearest(error: Exception, reason: Reason) -> None:
    failure = failures.from_start(error)
    assert (failure.phase, failure.reason) == (Phase.START, reason)
    assert failure.message
