"""What `python -m penstock.agent` is told on its command line."""

import argparse
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from penstock import settings


@dataclass(frozen=True)
class Options:
    """`limit` is how many attempts may be live at once, None for no limit; `prefetch_seconds` how early runs are taken.

    With `run_once` the agent takes what is due now, waits for its end and leaves.
    """

    name: str
    work_queues: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    pool: str | None = None
    limit: int | None = None
    prefetch_seconds: float = 0.0
    run_once: bool = False
    ready_fd: int | None = None
    health_port: int | None = None

    def sources(self) -> str:
        """Where runs are taken from, in words."""
        parts = []
        if self.work_queues:
            parts.append(("queue " if len(self.work_queues) == 1 else "queues ") + ", ".join(self.work_queues))
        if self.prefixes:
            parts.append("queues that begin with " + ", ".join(self.prefixes))
        where = " and ".join(parts) or "all queues"
        return f"{where} of pool {self.pool}" if self.pool else where


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
    add("-m", "--match", action="append", default=[], metavar="PREFIX", help="Take runs from queues that begin so.")
    add("-p", "--pool", metavar="POOL", help="The work pool that the queues belong to; alone: all its queues.")
    add("-l", "--limit", type=_count, metavar="LIMIT", help="Most runs that may be live at once.")
    add("--prefetch-seconds", type=_seconds, metavar="S", help="Take runs this long before they are due.")
    add("--run-once", action="store_true", help="Take what is due now, wait for its end, leave.")
    add("--name", metavar="N", help="The agent's name; by default this host's.")
    add("--ready-fd", type=int, metavar="FD", help="Write the agent's id here after the first answered poll.")
    add("--health-port", type=int, metavar="P", help="Serve /live, /ready and /metrics on this port of 127.0.0.1.")
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
        pool=found.pool,
        limit=found.limit,
        prefetch_seconds=settings.get("PENSTOCK_AGENT_PREFETCH_SECONDS") if prefetch is None else prefetch,
        run_once=found.run_once,
        ready_fd=found.ready_fd,
        health_port=found.health_port,
    )
