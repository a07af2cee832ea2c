"""What a job's folder says of the job: the state now, from evidence only. Blocks for some microseconds per job."""

import signal
from datetime import datetime

from penstock import clock
from penstock.infrastructure.base import Handle
from penstock.infrastructure.process import procfs
from penstock.infrastructure.process.folder import JobFolder
from penstock.infrastructure.process.records import ExitRecord, KeeperRecord, RequestRecord
from penstock.infrastructure.process.settle import settle
from penstock.model.attempts import Exit, Observation
from penstock.model.reasons import Reason

HANDLE_VERSION = 1
_SOURCE = "process"


def handle_of(folder: JobFolder) -> Handle | None:
    """The handle of the job of this folder, always the same one; None if nothing of it was ever started."""
    request, keeper = folder.request(), folder.keeper()
    if request is None or keeper is None:
        return None
    data = {
        "name": request.name,
        "attempt_id": request.attempt_id,
        "host_id": request.host_id,
        "host": keeper.host,
        "boot_id": keeper.boot_id,
        "pid": keeper.main_pid,
        "start_time": keeper.main_start_time,
    }
    return Handle(type=_SOURCE, version=HANDLE_VERSION, data=data)


def observe(folder: JobFolder) -> Observation:
    """The job's state. A job whose keeper was killed is settled first: what is left of it is stopped."""
    now = clock.now()
    found = folder.exit()
    keeper = folder.keeper()
    if found is None and keeper is not None and not is_kept(folder, keeper):
        found = _settled(folder)
    if found is not None:
        return ended(found)
    if keeper is not None:
        return Observation(status="RUNNING", observed_at=now)
    if folder.is_kept():
        return Observation(status="PENDING", observed_at=now, waiting_for="the process to be started")
    return Observation(
        status="MISSING", observed_at=now, message=f"There is no job {folder.name} in {folder.path.parent}."
    )


def is_kept(folder: JobFolder, keeper: KeeperRecord) -> bool:
    """Whether the job's keeper lives. One that cannot be seen, in another container, still holds its lock."""
    if keeper.boot_id == procfs.boot_id() and procfs.is_alive(keeper.keeper_pid, keeper.keeper_start_time):
        return True
    return folder.is_kept()


def _settled(folder: JobFolder) -> ExitRecord | None:
    try:
        settle(folder)
    except FileNotFoundError:
        return None
    return folder.exit()


def ended(record: ExitRecord) -> Observation:
    """The observation of a job that has ended."""
    message = record.message or describe(record)
    reason = Reason(record.reason) if record.reason else _reason_of(record)
    observed_at = datetime.fromisoformat(record.ended_at)
    found = Exit(
        code=record.code,
        signal=record.signal,
        oom=record.oom,
        reason=reason,
        message=message,
        source=_SOURCE,
        observed_at=observed_at,
    )
    return Observation(status="ENDED", observed_at=clock.now(), message=message, reason=reason, exit=found)


def describe(record: ExitRecord) -> str:
    """How the job ended, in a sentence."""
    if record.code is not None:
        text = f"The process exited with code {record.code}."
    elif record.signal is not None:
        text = f"The process was killed by {_name_of(record.signal)} (signal {record.signal})."
    else:
        text = "The process has ended; nobody knows how."
    if record.oom:
        text += " The machine, or its memory limit, was out of memory."
    if record.stopped == "asked":
        text += " It had been asked to stop."
    elif record.stopped == "forced":
        text += " It had been asked to stop and did not, so it was forced."
    return text


def _reason_of(record: ExitRecord) -> Reason | None:
    if record.oom:
        return Reason.OUT_OF_MEMORY
    if record.signal is not None:
        return Reason.SIGNALLED
    if record.code:
        return Reason.EXITED
    return None if record.code == 0 else Reason.UNKNOWN


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"


def is_of(request: RequestRecord, owner: str) -> bool:
    """Whether a job is of that owner and of this machine: a home may be shared by several."""
    return request.owner == owner and request.host_id == procfs.host_id()
