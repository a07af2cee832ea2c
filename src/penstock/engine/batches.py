"""Bodies of report batches: as large as is quick to send, as small as is quick to check. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from penstock.engine import wire
from penstock.model.base import plain

#: Most bytes of one batch. The server checks a batch in one go, some 8 ms for this size, in which nobody else is answered.
LARGEST_BATCH = 100_000
#: A byte of a log line is checked in so small a part of the time that a byte of a task run's story takes.
LINES_COUNT = 0.25


def batches(task_runs: dict[str, wire.JSON], lines: Sequence[bytes], largest: int = LARGEST_BATCH) -> Iterator[bytes]:
    """All that is reported, as JSON without the head: each at most `largest` bytes unless one report alone is more.

    `lines` are JSON already; of them four times as much goes into a batch. There is one batch even for nothing.
    """
    if not task_runs and sum(map(len, lines)) * LINES_COUNT <= largest:
        yield b'"task_runs":[],"logs":[' + b",".join(lines) + b"]"
        return
    runs_part: list[bytes] = []
    lines_part: list[bytes] = []
    size, number = 0.0, 0

    def sealed() -> bytes:
        nonlocal size, number
        body = b'"task_runs":[' + b",".join(runs_part) + b'],"logs":[' + b",".join(lines_part) + b"]"
        runs_part.clear()
        lines_part.clear()
        size, number = 0.0, number + 1
        return body

    for key, part in task_runs.items():
        piece = _as_json({"task_run_id": key, **part})
        if size and size + len(piece) > largest:
            yield sealed()
        runs_part.append(piece)
        size += len(piece) + 1
    for piece in lines:
        cost = len(piece) * LINES_COUNT
        if size and size + cost > largest:
            yield sealed()
        lines_part.append(piece)
        size += cost
    if size or not number:
        yield sealed()


def _as_json(part: wire.JSON) -> bytes:
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(part)
    except PydanticSerializationError:
        # rare: a tag or a state's name made of what is no text
        return to_json(_plain(part))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
