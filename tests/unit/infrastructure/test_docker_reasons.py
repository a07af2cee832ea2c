"""What Docker's words mean, for ends and refusals that no test can bring about everywhere."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.infrastructure.docker.reasons import REMEMBERED, History, ending, parse_time, read_history, refusal
from penstock.model.reasons import INFRASTRUCTURE_RETRIABLE, Reason

STARTED = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
OURS = "c0ffee"


def _state(code: int, seconds: float = 60, **more: Any) -> dict[str, Any]:
    finished = (STARTED + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f123Z")
    return {"Status": "exited", "ExitCode": code, "OOMKilled": False, "Error": "", "FinishedAt": finished, **more}


def _event(action: str, seconds: float, container: str = OURS, **attributes: str) -> dict[str, Any]:
    at = int((STARTED + timedelta(seconds=seconds)).timestamp() * 10**9)
    return {"Type": "container", "Action": action, "timeNano": at, "Actor": {"ID": container, "Attributes": attributes}}


def _history(*events: dict[str, Any], engine_started: float | None = None) -> History:
    made = None if engine_started is None else STARTED + timedelta(seconds=engine_started)
    return read_history(events, OURS, STARTED, made)


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        ("exec /usr/bin/python: exec format error", 400, Reason.COMMAND_NOT_FOUND),
        ("write /var/lib/docker/x: no space left on device", 500, Reason.NO_CAPACITY),
        ("could not find an available, non-overlapping IPv4 address pool", 500, Reason.NO_CAPACITY),
        ("driver failed programming external connectivity: port is already allocated", 500, Reason.START_FAILED),
        (
            "Error processing tar file(exit status 1): mkdir /run/penstock: not a directory",
            500,
            Reason.CONFIGURATION_INVALID,
        ),
        ("Error processing tar file(exit status 1): write /run: no space left on device", 500, Reason.NO_CAPACITY),
        (
            "unable to apply apparmor profile: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such "
            "file or directory",
            400,
            Reason.CONFIGURATION_INVALID,
        ),
        ("unable to derive the IP value for host-gateway", 500, Reason.CONFIGURATION_INVALID),
        ("container create: container-init binary not found on the host", 500, Reason.CONFIGURATION_INVALID),
        ("authorization denied by plugin casbin: no", 403, Reason.NOT_PERMITTED),
        ("something that nobody has seen before", 500, Reason.START_FAILED),
        ("something that nobody has seen before", 400, Reason.CONFIGURATION_INVALID),
        ("crun: executable file `nope` not found in $PATH: No such file or directory", 500, Reason.COMMAND_NOT_FOUND),
    ],
)
def test_what_docker_refuses_has_a_reason_and_a_next_step(words: str, status: int, reason: Reason) -> None:
    found = refusal(words, status)
    assert found.reason is reason
    assert found.hint.endswith(".") or found.hint.endswith(")")


def test_a_program_for_another_processor_is_told_by_what_was_printed_instead_of_a_program_at_once() -> None:
    began = STARTED.strftime("%Y-%m-%dT%H:%M:%S.%f123Z")
    said = History(only_words="exec /opt/envs/penstock/bin/python: exec format error")
    assert ending(_state(1, 0.2, StartedAt=began), said).reason is Reason.COMMAND_NOT_FOUND
    assert ending(_state(255, 0.2, StartedAt=began), said).reason is Reason.COMMAND_NOT_FOUND
    assert ending(_state(1, 0.2, StartedAt=began), History(only_words="Traceback")).reason is None
    assert ending(_state(1, 60, StartedAt=began), said).reason is None, "by then it was a program that said so"
    assert ending(_state(3, 0.2, StartedAt=began), said).reason is None


def test_a_refusal_that_nobody_knows_is_tried_again_only_if_docker_itself_failed() -> None:
    assert refusal("?", 500).reason in INFRASTRUCTURE_RETRIABLE
    assert refusal("?", 400).reason not in INFRASTRUCTURE_RETRIABLE


def test_a_signal_is_named_only_if_docker_was_told_to_send_it() -> None:
    remembered = (_event("start", 0), _event("kill", 59, signal="9"), _event("die", 60, exitCode="137"))
    assert ending(_state(137), _history(*remembered)).signal == 9
    unsent = ending(_state(137), _history(remembered[0], remembered[2]))
    assert (unsent.code, unsent.signal, unsent.reason) == (137, None, Reason.SIGNALLED)
    # it was told to send another one than that which the number stands for
    other = ending(_state(143), _history(*remembered))
    assert (other.code, other.signal) == (143, None)


def test_the_kill_of_another_container_is_not_ours() -> None:
    found = _history(_event("start", 0), _event("kill", 59, "another", signal="9"))
    assert ending(_state(137), found).signal is None


def test_what_the_engine_does_not_remember_any_more_tells_of_its_restart() -> None:
    assert _history(_event("start", 0)).restarted is False
    assert _history().restarted is True
    full = [_event("start", 100, f"other-{number}") for number in range(REMEMBERED)]
    assert _history(*full).restarted is None
    assert _history(*full, engine_started=90).restarted is True
    assert _history(*full, engine_started=-90).restarted is False


@pytest.mark.parametrize("seconds", [10, 61, 75])
def test_what_ended_until_shortly_after_the_engines_start_ended_because_of_it(seconds: float) -> None:
    found = ending(_state(143, seconds), _history(engine_started=60))
    assert found.reason is Reason.HOST_REBOOTED
    assert found.reason in INFRASTRUCTURE_RETRIABLE


def test_a_container_that_outlived_its_engine_is_judged_like_any_other() -> None:
    lived_on = _history(_event("kill", 3600, signal="15"), engine_started=60)
    found = ending(_state(143, 3601), lived_on)
    assert (found.reason, found.signal) == (Reason.SIGNALLED, 15)


def test_an_engine_that_leaves_running_containers_alone_has_ended_none_of_them_by_its_start() -> None:
    made = STARTED + timedelta(seconds=60)
    killed = [_event("kill", 70, signal="9")]
    found = ending(_state(137, 71), read_history(killed, OURS, STARTED, made, live_restore=True))
    assert (found.reason, found.signal) == (Reason.SIGNALLED, 9)


def test_an_exit_with_255_is_no_lost_machine_unless_the_engine_came_up_at_that_moment() -> None:
    assert ending(_state(255, 30), _history(engine_started=3600)).code == 255
    lost = ending(_state(255, 3599.8), _history(engine_started=3600))
    assert (lost.code, lost.signal, lost.reason) == (None, None, Reason.HOST_REBOOTED)


def test_an_exit_by_itself_before_the_engine_was_restarted_stays_that() -> None:
    found = ending(_state(1), _history(engine_started=3600))
    assert (found.code, found.reason) == (1, None)


def test_what_docker_says_is_passed_on() -> None:
    assert "Docker: containerd died" in (ending(_state(1, Error="containerd died"), History()).message or "")


def test_times_of_the_engine_are_read() -> None:
    assert parse_time("2026-11-23T04:59:56.282533056Z") == datetime(2026, 11, 23, 4, 59, 56, 282533, tzinfo=UTC)
    assert parse_time("0001-01-01T00:00:00Z") is None
    assert parse_time("") is None
