"""What an engine that is busy says late of a container's end is waited for, and heard."""

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from penstock.infrastructure.docker import endings
from penstock.infrastructure.docker.connection import Engine
from penstock.infrastructure.docker.endings import Endings
from penstock.infrastructure.docker.reasons import ending
from penstock.model.reasons import Reason

ID = "c" * 64


class BusyEngine:
    """One container that ended at once, ten seconds after the engine was started; now it is five seconds later."""

    APIError = RuntimeError

    def __init__(self, code: int, memory: int = 0, looks_without_memory: int = 0) -> None:
        self._code, self._memory, self._looks_without = code, memory, looks_without_memory
        #: what it did, with the second in which it wrote that down
        self.events: list[tuple[str, dict[str, str], int]] = [("start", {}, 13)]
        self.looks = 0
        self.base_url, self.api_version, self.timeout = "http://engine", "1.41", 5

    async def call(self, fn: Callable[[Any], Any], *, seconds: float) -> Any:
        return fn(self)

    def info(self) -> dict[str, Any]:
        return {"SystemTime": "2026-01-01T00:00:15.5Z"}

    def inspect_network(self, name: str) -> dict[str, Any]:
        return {"Created": "2026-01-01T00:00:00Z"}

    def inspect_container(self, name: str) -> dict[str, Any]:
        self.looks += 1
        state = {
            "Status": "exited",
            "ExitCode": self._code,
            "StartedAt": "2026-01-01T00:00:10Z",
            "FinishedAt": "2026-01-01T00:00:10.2Z",
            "OOMKilled": 0 < self._looks_without < self.looks,
        }
        return {"Id": ID, "Name": "/job", "State": state, "HostConfig": {"Memory": self._memory}}

    def get(self, url: str, params: dict[str, str], timeout: float) -> Any:
        since, until = float(params["since"]), float(params["until"])
        began = 1767225600  # 2026-01-01
        lines = [
            json.dumps(
                {"Action": action, "Actor": {"ID": ID, "Attributes": attributes}, "timeNano": at * 10**9}
            ).encode()
            for action, attributes, second in self.events
            if since <= (at := began + second) <= until
        ]
        return _Answer(lines)


class _Answer(SimpleNamespace):
    def __init__(self, lines: list[bytes]) -> None:
        super().__init__(status_code=200, iter_lines=lambda: lines)

    def __enter__(self) -> "_Answer":
        return self

    def __exit__(self, *_: object) -> None:
        return None


def end(engine: BusyEngine) -> Any:
    state, history = asyncio.run(Endings(cast(Engine, engine)).of([ID]))[ID]
    return ending(state, history)


def test_a_start_that_is_told_of_long_after_the_end_is_one_that_this_engine_has_made() -> None:
    assert end(BusyEngine(143)).reason is Reason.SIGNALLED


def test_a_container_whose_start_the_engine_knows_nothing_of_went_with_it() -> None:
    engine = BusyEngine(143)
    engine.events = []
    assert end(engine).reason is Reason.HOST_REBOOTED


@pytest.mark.parametrize("looks", [1, 4])
def test_that_memory_ran_out_may_be_told_late(monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    monkeypatch.setattr(endings, "_AFTERMATH", 0.01)
    monkeypatch.setattr(endings, "_LATE_AFTERMATH", 60.0)
    assert end(BusyEngine(137, memory=1, looks_without_memory=looks)).reason is Reason.OUT_OF_MEMORY


def test_nobody_waits_for_that_where_the_engine_has_sent_the_signal_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "_AFTERMATH", 0.01)
    monkeypatch.setattr(endings, "_LATE_AFTERMATH", 3600.0)
    engine = BusyEngine(137, memory=1)
    engine.events.append(("kill", {"signal": "9"}, 14))
    found = end(engine)
    assert (found.reason, found.signal) == (Reason.SIGNALLED, 9)
