"""Why a run that is due has not started: the first of all causes that would keep it from starting. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from penstock.model.work_pools import DEFAULT_POOL
from penstock.server.rules.spans import seconds

#: Seconds without a poll after which a queue counts as served by nobody, where no agent of ours is known to serve it.
UNATTENDED_SECONDS = 30.0
#: How many holders of slots, or agents, are named.
NAMED = 3


@dataclass(frozen=True)
class Holder:
    """A run that holds a slot: its state's name, and since when nobody has been able to see its job."""

    name: str
    state: str
    since: datetime
    unobserved_since: datetime | None = None


@dataclass(frozen=True)
class FullLimit:
    """A concurrency limit that is used up, the runs that hold its slots (the longest first), and how many runs that were
    due before wait for it as well."""

    of: str
    limit: int
    taken: int = 0
    holders: Sequence[Holder] = ()
    ahead: int = 0


@dataclass(frozen=True)
class Server:
    """An agent that serves the queue: how many runs it has, how many of them are starting, the most of each that it may
    have, the infrastructure types that it can run (none named: not known), and those whose platform does not answer it, with
    what came of asking."""

    name: str
    runs: int = 0
    starting: int = 0
    limit: int | None = None
    ramp_up: int | None = None
    types: Sequence[str] = ()
    away: Mapping[str, str] = field(default_factory=dict)

    def obstacle(self) -> str | None:
        """Why it takes nothing more now."""
        if self.limit is not None and self.runs >= self.limit:
            return f"'{self.name}' has {self.runs} of at most {self.limit} runs"
        if self.ramp_up is not None and self.starting >= self.ramp_up:
            return f"'{self.name}' is starting {self.starting} runs, and at most {self.ramp_up} at once"
        return None


@dataclass(frozen=True)
class Queue:
    """What the run's work queue and its pool say, and who serves it.

    `needs` is the infrastructure type of the run. `higher` and `earlier`: how many due runs come first because their queue
    has a higher priority, and because they have been due for longer.
    """

    name: str
    pool: str = DEFAULT_POOL
    is_paused: bool = False
    pool_is_paused: bool = False
    last_polled: datetime | None = None
    needs: str | None = None
    agents: Sequence[Server] = field(default_factory=list)
    limits: Sequence[FullLimit] = field(default_factory=list)
    higher: int = 0
    earlier: int = 0

    @property
    def title(self) -> str:
        where = "" if self.pool == DEFAULT_POOL else f" of work pool '{self.pool}'"
        return f"work queue '{self.name}'{where}"

    def command(self, *words: str) -> str:
        """A `penstock` command about the queue."""
        pool = () if self.pool == DEFAULT_POOL else ("-p", self.pool)
        return shlex.join(["penstock", *words, *pool])


def why_waiting(queue: Queue, now: datetime) -> str:
    """The sentence for a run that is due in `queue`."""
    found = _paused(queue) or _unattended(queue, now) or _unable(queue)
    if found is not None:
        return found
    if queue.limits:
        return _used_up(queue.limits[0], now)
    able = [agent for agent in queue.agents if _can_run(agent, queue.needs)]
    obstacles = [agent.obstacle() for agent in able]
    if able and all(obstacles):
        said = _some([obstacle for obstacle in obstacles if obstacle])
        return f"It waits for an agent of {queue.title} with room: {said}.{_behind(queue)}"
    return f"It is due, and the next free agent of {queue.title} takes it.{_behind(queue)}"


def _paused(queue: Queue) -> str | None:
    if queue.pool_is_paused:
        resume = shlex.join(["penstock", "work-pool", "resume", queue.pool])
        return f"Work pool '{queue.pool}' is paused: {resume}."
    if queue.is_paused:
        return f"{_capital(queue.title)} is paused: {queue.command('work-queue', 'resume', queue.name)}."
    return None


def _unattended(queue: Queue, now: datetime) -> str | None:
    if queue.agents:
        return None
    start = queue.command("agent", "start", "-q", queue.name)
    if queue.last_polled is None:
        return f"No agent has ever asked for {queue.title}: {start}."
    if (now - queue.last_polled).total_seconds() > UNATTENDED_SECONDS:
        since = f"{queue.last_polled:%Y-%m-%d %H:%M:%S} UTC"
        return f"No agent has asked for {queue.title} since {since}: {start}."
    return None


def _unable(queue: Queue) -> str | None:
    if queue.needs is None or not queue.agents or any(_can_run(agent, queue.needs) for agent in queue.agents):
        return None
    silent = [f"'{one.name}' ({one.away[queue.needs].rstrip('.')})" for one in queue.agents if queue.needs in one.away]
    if silent:
        who = "the agent that could run it" if len(silent) == 1 else "the agents that could run it"
        return (
            f"It needs {queue.needs}, whose platform does not answer {who}: {_some(silent)}. It starts when that does."
        )
    can = _some([f"'{agent.name}' can run {', '.join(agent.types)}" for agent in queue.agents])
    return (
        f"It needs {queue.needs}, which no agent of {queue.title} can run: {can}. "
        f"Start one that can, or give its deployment other infrastructure."
    )


def _can_run(agent: Server, needs: str | None) -> bool:
    return needs is None or not agent.types or needs in agent.types


def _used_up(full: FullLimit, now: datetime) -> str:
    if full.limit == 0:
        return f"The concurrency limit of {full.of} is 0, so that nothing starts until it is raised or cleared."
    held = _some([_held(holder, now) for holder in full.holders])
    by = f" by {held}" if held else ""
    waiting = f" {_runs(full.ahead)} due before it {_wait(full.ahead)} for it too." if full.ahead else ""
    return f"The concurrency limit of {full.of} is used up ({full.taken}/{full.limit}){by}.{waiting}"


def _held(holder: Holder, now: datetime) -> str:
    unseen = f", its job unseen since {holder.unobserved_since:%H:%M:%S} UTC" if holder.unobserved_since else ""
    return f"{holder.name} ({holder.state}, taken {seconds((now - holder.since).total_seconds())} ago{unseen})"


def _behind(queue: Queue) -> str:
    parts = []
    if queue.higher:
        parts.append(f"{_runs(queue.higher)} in queues of higher priority")
    if queue.earlier:
        parts.append(f"{_runs(queue.earlier)} that {'has' if queue.earlier == 1 else 'have'} been due for longer")
    if not parts:
        return ""
    return f" Before it {'comes' if queue.higher + queue.earlier == 1 else 'come'} {' and '.join(parts)}."


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _wait(count: int) -> str:
    return "waits" if count == 1 else "wait"


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:NAMED]) + (f" and {len(texts) - NAMED} more" if len(texts) > NAMED else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
