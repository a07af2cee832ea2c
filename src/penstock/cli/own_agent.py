"""An agent that a command brings along for one run: on a queue of its own, gone with the run."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from penstock.cli.children import Child
from penstock.cli.connection import Connection
from penstock.cli.session import Session
from penstock.errors import NotFound, PenstockError

#: Seconds that the agent has until it takes runs.
_PATIENCE = 120.0
#: Seconds that it has at the end to see the job end and to clear it away: a pod may use up its grace, and its node some
#: more to say that it is gone. It leaves as soon as nothing is left.
_DRAIN = 75.0
#: Seconds that it has beyond that to tell the server and leave.
_FAREWELL = 15.0
#: What the names of such agents and of their queues begin with; twelve hexadecimal digits follow.
_PREFIX = "run-"
_NAME = re.compile(_PREFIX + "[0-9a-f]{12}")


class OwnAgent:
    """An agent for one run, on `queue`. `keep_queue`: the run goes on without it, so that its queue is still needed."""

    def __init__(self, connection: Connection, session: Session) -> None:
        self.queue = f"{_PREFIX}{uuid4().hex[:12]}"
        self.keep_queue = False
        self._session = session
        environ = {
            **os.environ,
            "PENSTOCK_API_URL": connection.api_url,
            # the run is over for the server before its job has ended, and a container is still to be removed then
            "PENSTOCK_AGENT_DRAIN_SECONDS": f"{_DRAIN:g}",
        }
        arguments = ["-q", self.queue, "--name", self.queue]
        self._child = Child("penstock.agent", arguments, environ, self._tell, ready=True, bound=True)

    def _tell(self, line: str) -> None:
        if self._session.verbose:
            print(f"agent | {line}", file=sys.stderr, flush=True)

    def wait_ready(self) -> None:
        self._child.wait_ready(_PATIENCE)

    def check(self) -> None:
        """Raise, with its last lines, if the agent has ended: nobody would take the run."""
        if not self._child.running:
            raise self._child.failure(f"ended with exit code {self._child.returncode}")

    def stop(self) -> None:
        """Let it leave when nothing of the run is left; at once if the run goes on."""
        left = self._child.stop(0.0 if self.keep_queue else _DRAIN + _FAREWELL)
        if not left and not self.keep_queue:
            self._session.warn(
                "The run's agent was ended before all was cleared away; the next agent that runs a job in that place does it."
            )


def has_left(agent: dict[str, Any]) -> bool:
    """Whether an agent that the server lists was one for one run, and that run is over."""
    name = agent["name"]
    own = _NAME.fullmatch(name) is not None and agent["work_queues"] == [name]
    return own and not agent["open_attempts"] and (agent["draining"] or not agent["online"])


@contextmanager
def own_agent(
    connection: Connection, session: Session, meanwhile: Callable[[], None] = lambda: None
) -> Iterator[OwnAgent]:
    """An agent for as long as the block runs; its queue goes with it. `meanwhile` is called while it starts, and may raise.

    Where this process is killed, the agent sees the run to its end and leaves.
    """
    agent = OwnAgent(connection, session)
    try:
        meanwhile()
        agent.wait_ready()
        yield agent
    finally:
        agent.stop()
        if not agent.keep_queue:
            _delete_queue(connection, session, agent.queue)


def _delete_queue(connection: Connection, session: Session, queue: str) -> None:
    from penstock.client import work_queues

    try:
        found = connection.row(work_queues.read_work_queue_by_name(queue))
        connection.send(work_queues.delete_work_queue(found["id"]))
    except NotFound:
        return
    except PenstockError as error:
        session.warn(f"The queue {queue!r} that was made for this run could not be deleted: {error.message}")
