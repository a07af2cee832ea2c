"""What `python -m penstock.agent` is told on its command line."""

import argparse
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from penstock import settings
from penstock.model.queue_names import is_pattern


@dataclass(frozen=True)
class Options:
    """`limit` is how many attempts may be live at once, `ramp_up` how many of them may be on their way to user code at
    once, None for no limit; `prefetch_seconds` how early runs are taken.

    With `run_once` the agent takes what is due now, waits for its end and leaves. With `wait` it waits for what it needs to
    begin. `life_fd` is the end of a pipe whose other end somebody holds that the agent is for: once that is closed, it
    leaves as soon as it has nothing to look after.
    """

    name: str
    work_queues: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    limit: int | None = None
    ramp_up: int | None = None
    prefetch_seconds: float = 0.0
    run_once: bool = False
    wait: bool = False
    ready_fd: int | None = None
    life_fd: int | None = None
    health_port: int | None = None
    health_host: str = "127.0.0.1"

    def sources(self) -> str:
        """Where runs are taken from, in words."""
        parts = []
        if self.work_queues:
            parts.append(("queue " if len(self.work_queues) == 1 else "queues ") + ", ".join(self.work_queues))
        if self.prefixes:
            patterns = [text for text in self.prefixes if is_pattern(text)]
            begins = [text for text in self.prefixes if not is_pattern(text)]
            parts += ["queues that begin with " + ", ".join(begins)] if begins else []
            parts += ["queues that fit " + ", ".join(patterns)] if patterns else []
        where = " and ".join(parts) or "all queues"
        if not self.pools:
            return where
        return f"{where} of {'pool' if len(self.pools) == 1 else 'pools'} {', '.join(self.pools)}"


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m penstock.agent", description="Takes due runs from queues and runs them on their infrastructure."
    )
    add = parser.add_argument
    add("-q", "--work-queue", action="append", default=[], metavar="QUEUE", help="Take runs from this queue.")
    add(
        "-m",
        "--match",
        action="append",
        default=[],
        metavar="PREFIX",
        help="Take runs from queues that begin or fit so.",
    )
    add(
        "-p",
        "--pool",
        action="append",
        default=[],
        metavar="POOL",
        help="A work pool of the queues; alone: all of them.",
    )
    add("-l", "--limit", type=_count, metavar="LIMIT", help="Most runs that may be live at once.")
    add("--ramp-up", type=_count, metavar="N", help="Most runs that may be on their way to user code at once.")
    add("--prefetch-seconds", type=_seconds, metavar="S", help="Take runs this long before they are due.")
    add("--run-once", action="store_true", help="Take what is due now, wait for its end, leave.")
    add("--wait", action="store_true", help="Wait for a pool that does not exist yet, or a key that is good.")
    add("--name", metavar="N", help="The agent's name; by default this host's.")
    add("--ready-fd", type=int, metavar="FD", help="Write the agent's id here after the first answered poll.")
    add("--life-fd", type=int, metavar="FD", help="Leave when this pipe is closed and nothing is left to look after.")
    add("--health-port", type=int, metavar="P", help="Serve /live, /ready and /metrics on this port.")
    add("--health-host", default="127.0.0.1", metavar="H", help="Address for --health-port; by default 127.0.0.1.")
    return parser


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Options from the command line. Exits with status 2 and a message if they make no sense."""
    parser = _parser()
    found = parser.parse_args(arguments)
    if not (found.work_queue or found.match or found.pool):
        parser.error("say where to take runs from: -q QUEUE, -m PREFIX or -p POOL")
    prefetch = found.prefetch_seconds
    return Options(
        name=found.name or settings.get("PENSTOCK_AGENT_NAME") or socket.gethostname(),
        work_queues=tuple(dict.fromkeys(found.work_queue)),
        prefixes=tuple(dict.fromkeys(found.match)),
        pools=tuple(dict.fromkeys(found.pool)),
        limit=found.limit,
        ramp_up=settings.get("PENSTOCK_AGENT_RAMP_UP") if found.ramp_up is None else found.ramp_up,
        prefetch_seconds=settings.get("PENSTOCK_AGENT_PREFETCH_SECONDS") if prefetch is None else prefetch,
        run_once=found.run_once,
        wait=found.wait,
        ready_fd=found.ready_fd,
        life_fd=found.life_fd,
        health_port=found.health_port,
        health_host=found.health_host,
    )
