"""What the Docker engine's words mean: why it refused a container, and how one ended. Pure."""

import re
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.model.attempts import Exit
from penstock.model.reasons import Reason

#: What an engine remembers of what happened, at most, in events. It forgets all of it when it is restarted.
REMEMBERED = 256
#: An engine without live-restore stops the containers that it finds running when it starts. It takes no longer than this.
_STOPPED_AT_START = timedelta(seconds=30)
#: It writes down the containers that it finds gone before it says of itself that it has started, so long at most.
_FOUND_AT_START = timedelta(seconds=20)
#: Exit status of a container of which the engine knows only that it is gone.
_UNKNOWN_CODE = 255
_SOURCE = "docker"
#: How a container ends whose command cannot be executed, and what it has printed then: that, and nothing else.
_NOT_EXECUTED, _AT_ONCE = frozenset({1, _UNKNOWN_CODE}), timedelta(seconds=3)
_FOREIGN = re.compile(r"[^\n]*\bexec format error\W*", re.IGNORECASE)

#: words of the engine -> reason, what to do. The first that is found in what it said counts.
_REFUSALS: tuple[tuple[str, Reason, str], ...] = (
    (
        r"seccomp profile|security-opt|apparmor profile",
        Reason.CONFIGURATION_INVALID,
        "The engine's API takes the text of a seccomp profile, not its path, and names of AppArmor profiles that it has loaded.",
    ),
    (
        r"exec format error",
        Reason.COMMAND_NOT_FOUND,
        "The image or its command is for another kind of processor, or a script without its first line (#!). Choose an "
        "image for this machine's platform.",
    ),
    (
        r"executable file not found|exec: .*(no such file or directory|permission denied|is a directory)|"
        r"crun: .*(not found|Permission denied)",
        Reason.COMMAND_NOT_FOUND,
        "Check the command, the image's entrypoint, and that Penstock is installed in the image.",
    ),
    (
        r"no such image|image not known|reference does not exist",
        Reason.IMAGE_NOT_FOUND,
        "The engine does not have the image. Correct its name, or let it be pulled: image_pull_policy.",
    ),
    (
        r"port is already allocated|address already in use",
        Reason.START_FAILED,
        "Another container or program has the port. Publish another one, or none: flow runs need no port.",
    ),
    (
        r"no space left on device|cannot allocate memory|too many open files|non-overlapping IPv4 address pool|"
        r"no available IPv4 addresses|resource temporarily unavailable",
        Reason.NO_CAPACITY,
        "The engine's machine is full. Remove images and containers that nobody needs, or use another machine.",
    ),
    (
        r"could not select device driver|unknown (or invalid )?runtime|gathering device information|no such device",
        Reason.CONFIGURATION_INVALID,
        "The engine's machine lacks the device or its runtime. For GPUs of NVIDIA the NVIDIA Container Toolkit has to be "
        "installed there.",
    ),
    (
        r"network .*not found|no such network|unable to find network|network not found",
        Reason.CONFIGURATION_INVALID,
        "The engine has no such network. `docker network ls` shows those there are.",
    ),
    (
        r"no such container|joining network|join network of|cannot join",
        Reason.CONFIGURATION_INVALID,
        "The container that is named, whose network or volumes are to be shared, is not there or does not run.",
    ),
    (
        r"host-gateway",
        Reason.CONFIGURATION_INVALID,
        "The engine has no address of its own for host.docker.internal (it is old, or has no bridge). Write env.PENSTOCK_API_URL: "
        "an address of the API that the container's network reaches.",
    ),
    (
        r"storage-opt|invalid isolation|container-init binary not found",
        Reason.CONFIGURATION_INVALID,
        "The engine's machine cannot do that. Leave it out of the block.",
    ),
    (
        r"cannot mkdir: ",
        Reason.CONFIGURATION_INVALID,
        "A folder of the container cannot be made: look at working_dir, and at the image's WORKDIR.",
    ),
    (
        r"error processing tar file|lstat .*: not a directory",
        Reason.CONFIGURATION_INVALID,
        "The file with the run's token cannot be put into the container: the image has something else at that place.",
    ),
    (
        r"failed to initialize logging driver",
        Reason.START_FAILED,
        "The log driver does not reach what it writes to. Look at that, or choose another one in host_config.LogConfig.",
    ),
    (
        r"bind source path|mount|volume|statfs",
        Reason.CONFIGURATION_INVALID,
        "Check the volumes: paths are those of the engine's machine and have to exist there.",
    ),
    (
        r"unable to find user|no matching entries in (passwd|group)|unable to find group",
        Reason.CONFIGURATION_INVALID,
        "The image has no such user or group. A number works without one.",
    ),
    (
        r"authorization denied|access denied",
        Reason.NOT_PERMITTED,
        "The engine's authorization plugin refused it. Ask whoever looks after that engine.",
    ),
)


@dataclass(frozen=True)
class Refusal:
    """Why a container could not be made or started, and what to do."""

    reason: Reason
    hint: str


def refusal(words: str, status: int) -> Refusal:
    """What the engine's `words` and its HTTP `status` mean for the job."""
    for pattern, reason, hint in _REFUSALS:
        if re.search(pattern, words, re.IGNORECASE):
            return Refusal(reason, hint)
    if status == 403:
        return Refusal(Reason.NOT_PERMITTED, "The agent may not do this on that engine.")
    if status in {400, 404, 422}:
        return Refusal(Reason.CONFIGURATION_INVALID, "Correct what the engine names; `render` shows what it was sent.")
    return Refusal(Reason.START_FAILED, "The engine's own log says more (`journalctl -u docker`).")


@dataclass(frozen=True)
class History:
    """What the engine remembers of one container.

    `signals`: those that it was told to send, or sent itself, with their times. `restarted`: whether the engine was
    started anew since the container was; None: that cannot be told. `engine_started`: since when it remembers.
    `live_restore`: whether it leaves the containers alone that it finds running when it starts. `only_words`: all that the
    container has printed, where that matters and was a line.
    """

    signals: tuple[tuple[int, datetime], ...] = ()
    restarted: bool | None = None
    engine_started: datetime | None = None
    live_restore: bool = False
    only_words: str = ""


def may_not_have_run(state: Mapping[str, Any]) -> bool:
    """Whether a container may have ended because its command could not be executed at all: what it printed tells.

    Some runtimes say so to the engine; others, when it has begun, to the container's output, and end it with 1 or 255.
    """
    began, ended = parse_time(state.get("StartedAt")), parse_time(state.get("FinishedAt"))
    return (
        state.get("ExitCode") in _NOT_EXECUTED and began is not None and ended is not None and ended - began < _AT_ONCE
    )


def needs_history(state: Mapping[str, Any]) -> bool:
    """Whether the end of a container cannot be told from its State alone."""
    code = state.get("ExitCode")
    return isinstance(code, int) and code > 128 and not state.get("OOMKilled")


def was_killed(state: Mapping[str, Any]) -> bool:
    """Whether a container ended as one does whose process was sent SIGKILL, and nothing is told of its memory."""
    return state.get("ExitCode") == 128 + signal.SIGKILL and not state.get("OOMKilled")


def read_history(
    events: Iterable[Mapping[str, Any]],
    container_id: str,
    started_at: datetime | None,
    network_made: datetime | None,
    live_restore: bool = False,
) -> History:
    """What `events`, all that the engine remembers since shortly before the container's start, say of it.

    An engine that has not forgotten anything yet and does not remember the container's start was started after it.
    `network_made` is when the default network was: the engine makes it anew each time that it starts.
    """
    remembered = list(events)
    own = [event for event in remembered if (event.get("Actor") or {}).get("ID") == container_id]
    signals = [
        (int(number), _at(event))
        for event in own
        if event.get("Action") == "kill" and (number := event["Actor"]["Attributes"].get("signal", "")).isdigit()
    ]
    began = network_made
    if began is None and remembered and len(remembered) < REMEMBERED:
        began = _at(remembered[0])
    restarted: bool | None = None
    if any(event.get("Action") == "start" for event in own):
        restarted = False
    elif len(remembered) < REMEMBERED:
        restarted = True
    elif network_made is not None and started_at is not None:
        restarted = network_made > started_at
    return History(tuple(signals), restarted, began, live_restore)


def ending(state: Mapping[str, Any], history: History) -> Exit:
    """How a container ended, from its State as `inspect` tells it and what the engine remembers of it.

    A signal is named only if the engine says that it was sent. The exit status of a process that dies by signal N is
    told as 128 + N, as is that of one which exits with that very number; then the number is all that is known.
    """
    code = int(state["ExitCode"])
    finished_at = parse_time(state.get("FinishedAt"))
    oom = bool(state.get("OOMKilled"))
    number = code - 128 if _is_signal(code - 128) else None
    sent = [(sent_number, when) for sent_number, when in history.signals if sent_number == number]
    code_or_none: int | None = code
    signal_or_none: int | None = None
    reason: Reason | None = None  # what an exit code means, the server knows: it knows how far the run had come
    text = f"The container exited with code {code}."
    if code == 0:
        text += " A process in it was killed because memory ran out, and it ended well all the same." if oom else ""
    elif oom:
        reason = Reason.OUT_OF_MEMORY
        text += " It, or a process in it, was killed because memory ran out."
    elif (number is not None or code == _UNKNOWN_CODE) and _went_with_the_engine(history, code, finished_at):
        reason = Reason.HOST_REBOOTED
        if code == _UNKNOWN_CODE:
            code_or_none = None
            text = "The Docker engine's machine was restarted while the container ran; nobody knows how it ended."
        else:
            text += " The Docker engine was restarted: its own stop, or that of its machine, ended the container."
    elif may_not_have_run(state) and _FOREIGN.fullmatch(history.only_words):
        reason = Reason.COMMAND_NOT_FOUND
        text = (
            f"The container could not execute its command: {history.only_words}. The image, or the command, is for another "
            "kind of processor than the engine's, or it is a script without its first line (#!)."
        )
    elif number is not None and sent:
        code_or_none, signal_or_none, reason = None, number, Reason.SIGNALLED
        text = (
            f"The container was killed by {_name(number)} (signal {number}), which the Docker engine sent: it was told to, or "
            "was being stopped itself."
        )
    elif number is not None:
        reason = Reason.SIGNALLED
        text = (
            f"The container exited with code {code}: 128 + {number}, as is told of a process that {_name(number)} "
            "killed. The Docker engine does not remember that it was told to send it."
        )
    words = str(state.get("Error") or "")
    return Exit(
        code=code_or_none,
        signal=signal_or_none,
        oom=oom,
        reason=reason,
        message=f"{text} Docker: {words}" if words else text,
        source=_SOURCE,
        observed_at=finished_at,
    )


def _went_with_the_engine(history: History, code: int, finished_at: datetime | None) -> bool:
    """Whether the container ended because its engine, or their machine, was stopped or started anew."""
    began = history.engine_started
    if not history.restarted or began is None or finished_at is None:
        return False
    if code == _UNKNOWN_CODE:  # an exit with that very number was written down when it happened
        return began - _FOUND_AT_START < finished_at < began + _STOPPED_AT_START
    return finished_at < (began if history.live_restore else began + _STOPPED_AT_START)


def parse_time(text: Any) -> datetime | None:
    """A time as the engine writes it; its zero is None."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return None
    # Python takes microseconds, the engine writes nanoseconds
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _at(event: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(event["timeNano"]) / 1e9, UTC)


def _is_signal(number: int) -> bool:
    return 0 < number <= 64


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"
