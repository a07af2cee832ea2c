"""Flows that wait, called beside the test."""

import threading
import time
from typing import Any

from penstock.model.states import StateType
from penstock.testing import wait_until


class InThread:
    """A call in a thread of its own."""

    def __init__(self, call: Any) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self.ended = 0.0
        self._thread = threading.Thread(target=self._run, args=[call], daemon=True)
        self._thread.start()

    def _run(self, call: Any) -> None:
        try:
            self.value = call()
        except BaseException as error:
            self.error = error
        self.ended = time.monotonic()

    def result(self, timeout: float = 120) -> Any:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "it has not ended"
        if self.error is not None:
            raise self.error
        return self.value


def paused_run(accounts: Any, fl: Any) -> Any:
    def found() -> Any:
        runs = [run for run in accounts.flow_runs(fl) if run.state_type is StateType.PAUSED]
        return runs[0] if runs else None

    return wait_until(found, 120, "the run is paused")
