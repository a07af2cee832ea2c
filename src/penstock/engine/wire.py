"""What the engine reports, as plain data in the shape of `penstock.model.reports`. Pure.

Thousands of task runs a second pass through here, so these are dictionaries ready to be written as JSON, not models;
a test holds each of them against its model.
"""

from datetime import datetime
from json.encoder import encode_basestring as _quoted
from typing import Any
from uuid import UUID

from penstock.model.base import plain
from penstock.model.results import Result
from penstock.model.states import State, StateCreate, StateType

JSON = dict[str, Any]

#: In place of a result, which stays in the process that made it.
UNPERSISTED: JSON = {"type": "unpersisted"}
#: Longest message of a state, in characters: well below the size of one batch.
LONGEST_STATE_MESSAGE = 20_000


def shorten(text: str, longest: int) -> str:
    """`text`, its middle cut out and marked if it has more than `longest` characters."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def state(
    state_id: str,
    kind: StateType,
    timestamp: datetime,
    *,
    name: str | None = None,
    message: str | None = None,
    details: JSON | None = None,
) -> JSON:
    """A state of a task run that the engine decided itself."""
    found: JSON = {"id": state_id, "type": kind.value, "timestamp": timestamp.isoformat()}
    if name is not None:
        found["name"] = name
    if message is not None:
        found["message"] = shorten(plain(message), LONGEST_STATE_MESSAGE)
    if details:
        found["state_details"] = details
    return found


def final_state(final: State, timestamp: datetime) -> JSON:
    """`final`, which may hold a result or an exception: only where that lies, if it was written down, goes along."""
    found = state(
        str(final.id),
        final.type,
        timestamp,
        name=final.name,
        message=final.message,
        details=final.state_details.model_dump(mode="json", exclude_defaults=True),
    )
    if isinstance(final.data, Result):
        found["data"] = final.data.reference
    elif final.type is StateType.COMPLETED:
        found["data"] = UNPERSISTED
    return found


def proposal(proposed: State) -> StateCreate:
    """`proposed` as it is put to the server: with its id, so that asking twice is asking once, and of its data only where that lies."""
    details = proposed.state_details.model_copy(update={"transition_id": proposed.id})
    data = UNPERSISTED if proposed.type is StateType.COMPLETED else None
    if isinstance(proposed.data, Result):
        data = proposed.data.reference
    return StateCreate(
        id=proposed.id,
        type=proposed.type,
        name=None if proposed.name is None else plain(proposed.name),
        message=None if proposed.message is None else shorten(plain(proposed.message), LONGEST_STATE_MESSAGE),
        timestamp=proposed.timestamp,
        state_details=details,
        data=data,
    )


def log_line(
    name: str, level: int, message: str, timestamp: str, flow_run_id: str | None, task_run_id: str | None
) -> bytes:
    """A `LogCreate` as JSON. Tens of thousands a second may pass here, so it is put together by hand."""
    if not message.isascii() or "\x00" in message:
        message = plain(message)
    flow_run = f',"flow_run_id":"{flow_run_id}"' if flow_run_id is not None else ""
    task_run = f',"task_run_id":"{task_run_id}"' if task_run_id is not None else ""
    return (
        f'{{"name":{_quoted(plain(name))},"level":{level},"message":{_quoted(message)},"timestamp":"{timestamp}"'
        f"{flow_run}{task_run}}}"
    ).encode()


def scheduled_details(scheduled_time: datetime) -> JSON:
    return {"scheduled_time": scheduled_time.isoformat()}


def task_inputs(sources: dict[str, list[UUID]]) -> dict[str, list[JSON]]:
    """Argument -> the task runs that it came from, as a task run keeps it."""
    return {
        name: [{"input_type": "task_run", "id": str(task_run_id)} for task_run_id in ids]
        for name, ids in sources.items()
        if ids
    }


def merge(into: JSON, part: JSON) -> None:
    """Add a later `part` of a task run's story to `into`: states are appended, all else is replaced."""
    states = part.get("states")
    earlier = into.get("states")
    into.update(part)
    if states is not None and earlier is not None:
        into["states"] = earlier + states
