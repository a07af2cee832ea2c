"""Waiting for a flow run to change: one thread asks the server, which answers when it has; any number may wait for that."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

from penstock.client import flow_runs
from penstock.client.call import Call
from penstock.clock import monotonic
from penstock.model.flow_runs import FlowRun

#: Sends a call and returns its answer.
Ask = Callable[[Call[Any]], Any]

#: Most seconds that one request waits.
LONGEST_POLL = 30.0
#: Seconds after which a waiting thread looks whether it is to stop: an exception from another thread reaches it then.
LOOK_UP_SECONDS = 0.5


class RunWatch:
    """Asks for the run until `enough` says that it need not wait longer, or `timeout` seconds have passed.

    `run` is what it found last, None if nobody knows: then `error` says why. `seen` is called, in another thread,
    with every state that it finds. `poll_seconds` is how long one request waits.
    """

    def __init__(
        self,
        ask: Ask,
        flow_run_id: UUID,
        enough: Callable[[FlowRun], bool],
        *,
        poll_seconds: float = LONGEST_POLL,
        timeout: float | None = None,
        seen: Callable[[FlowRun], None] | None = None,
    ) -> None:
        self.run: FlowRun | None = None
        self.error: BaseException | None = None
        #: nobody waits any more
        self.abandoned = False
        self._ask, self._flow_run_id, self._enough, self._seen = ask, flow_run_id, enough, seen
        self._poll_seconds = min(poll_seconds, LONGEST_POLL)
        self._deadline = None if timeout is None else monotonic() + timeout
        self._changed = threading.Lock()
        self._waiting: list[Callable[[], None]] | None = []
        threading.Thread(target=self._look, name="penstock-watch", daemon=True).start()

    @property
    def over(self) -> bool:
        return self._waiting is None

    def when_over(self, wake: Callable[[], None]) -> None:
        """Call `wake` when there is nothing more to wait for, from whatever thread: at once if that is so now."""
        with self._changed:
            if self._waiting is not None:
                self._waiting.append(wake)
                return
        wake()

    def outcome(self) -> FlowRun:
        """The run as it was found last. Raises what kept it from being found."""
        if self.error is not None:
            raise self.error
        assert self.run is not None, "a watch is over when it has found its run, or an error"
        return self.run

    def _look(self) -> None:
        try:
            self._ask_until_enough()
        except BaseException as error:
            self.error = error
        finally:
            with self._changed:
                waiting, self._waiting = self._waiting or [], None
            for wake in waiting:
                wake()

    def _ask_until_enough(self) -> None:
        known: UUID | None = None
        while not self.abandoned:
            left = self._poll_seconds if self._deadline is None else self._deadline - monotonic()
            seconds = max(0.0, min(self._poll_seconds, left))
            self.run = self._ask(flow_runs.wait_for_flow_run_change(self._flow_run_id, known, seconds))
            if self._seen is not None and self.run.state_id != known:
                self._seen(self.run)
            known = self.run.state_id
            if self._enough(self.run) or (self._deadline is not None and monotonic() >= self._deadline):
                return


class Watched:
    """The effect of waiting for a watch: the run as it was found last."""

    __slots__ = ("_mine", "watch")

    def __init__(self, watch: RunWatch, *, shared: bool = False) -> None:
        self.watch = watch
        self._mine = not shared

    def run(self) -> FlowRun:
        over = threading.Event()
        self.watch.when_over(over.set)
        try:
            while not over.wait(LOOK_UP_SECONDS):
                pass
        except BaseException:
            self.watch.abandoned = self._mine
            raise
        return self.watch.outcome()

    async def run_async(self) -> FlowRun:
        import asyncio

        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(over.set)

        self.watch.when_over(wake)
        try:
            await over.wait()
        except BaseException:
            self.watch.abandoned = self._mine
            raise
        return self.watch.outcome()
