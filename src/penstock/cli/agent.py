"""`penstock agent`: start one, see which there are."""

import os
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import click

from penstock.cli import output, processes, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current

_COLUMNS = [
    Column("NAME", "name"),
    Column("ONLINE", "online"),
    Column("POOLS", "work_pools"),
    Column("QUEUES", "work_queues"),
    Column("MATCHING", "work_queue_prefixes"),
    Column("RUNS", "open_attempts"),
    Column("LIMIT", "limit"),
    Column("LAST SEEN", "last_polled", show=times.ago),
    Column("HOST", "host", wide=True),
    Column("VERSION", "version", wide=True),
    Column("ID", "id", wide=True),
]

#: Agents that one request may bring.
_PAGE = 200


@group("agent")
def command() -> None:
    """Start and list agents."""


@command.command("start", data=False)
@click.argument("work_queue", required=False)
@click.option(
    "-q",
    "--work-queue",
    "queues",
    multiple=True,
    metavar="QUEUE",
    help="Take runs from this queue; repeat it for more.",
)
@click.option(
    "-m",
    "--match",
    "prefixes",
    multiple=True,
    metavar="PREFIX",
    help="Take runs from all queues whose names begin so, or fit a pattern with * or ?.",
)
@click.option(
    "-p",
    "--pool",
    "pools",
    multiple=True,
    metavar="POOL",
    help="Work pool that the queues belong to; without -q and -m all its queues; repeat it for more.",
)
@click.option("-l", "--limit", type=click.IntRange(min=1), help="Most runs that may be live at once.")
@click.option("--ramp-up", type=click.IntRange(min=1), help="Most runs that may be on their way to user code at once.")
@click.option("--wait", is_flag=True, help="Wait for a pool that does not exist yet, instead of leaving.")
@click.option("--run-once/--no-run-once", default=False, help="Take what is due now, wait for its end, leave.")
@click.option("--prefetch-seconds", type=click.FloatRange(min=0), help="How long before its time a run may be taken.")
@click.option("--api", "api_url", metavar="URL", help="The server's API, instead of PENSTOCK_API_URL.")
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="Refused: agents serve queues, not tags.")
@click.option("--name", metavar="NAME", help="The agent's name; by default this host's.")
@click.option("--health-port", type=click.IntRange(1, 65535), help="Serve /live, /ready and /metrics on this port.")
@click.option("--health-host", metavar="HOST", help="Address for --health-port; by default 127.0.0.1.")
@click.option(
    "--hide-welcome", is_flag=True, expose_value=False, help="Accepted for old scripts; there is no banner to hide."
)
def start(
    work_queue: str | None,
    queues: tuple[str, ...],
    prefixes: tuple[str, ...],
    pools: tuple[str, ...],
    limit: int | None,
    ramp_up: int | None,
    wait: bool,
    run_once: bool,
    prefetch_seconds: float | None,
    api_url: str | None,
    tags: tuple[str, ...],
    name: str | None,
    health_port: int | None,
    health_host: str | None,
) -> None:
    """Start an agent and stay with it until Ctrl-C.

    WORK_QUEUE is the old way to say -q WORK_QUEUE.
    """
    session = current()
    if work_queue is not None:
        session.warn(f"The queue as an argument is deprecated; write: penstock agent start -q {work_queue}")
        queues = (*queues, work_queue)
    if tags:
        raise UsageProblem("Agents do not choose runs by tags.", hint="Give the runs a queue, and the agent -q QUEUE.")
    if not queues and not prefixes and not pools:
        raise UsageProblem(
            "An agent needs to know where to take runs from.",
            hint="-q QUEUE, -m PREFIX or -p POOL; `penstock agent start -q default` is a good start.",
        )
    arguments = [word for queue in queues for word in ("-q", queue)]
    arguments += [word for prefix in prefixes for word in ("-m", prefix)]
    arguments += [word for pool in pools for word in ("-p", pool)]
    options = {
        "-l": limit,
        "--ramp-up": ramp_up,
        "--prefetch-seconds": prefetch_seconds,
        "--name": name,
        "--health-port": health_port,
        "--health-host": health_host,
    }
    arguments += [word for flag, value in options.items() if value is not None for word in (flag, str(value))]
    arguments += ["--run-once"] * run_once + ["--wait"] * wait
    environ = dict(os.environ)
    if api_url:
        environ["PENSTOCK_API_URL"] = api_url
    processes.become("penstock.agent", arguments, environ)


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Most agents to show.")
@click.option(
    "-a", "--all", "all_", is_flag=True, help="Those too that `penstock run` brought along for a run that is over."
)
def ls(limit: int, all_: bool) -> None:
    """List the agents that the server knows, those seen last first."""
    with connect() as connection:
        rows = list(islice(_agents(connection, all_), limit))
    output.emit(current(), rows, _COLUMNS, lambda row: str(row["name"]))


def _agents(connection: Connection, all_: bool) -> Iterator[dict[str, Any]]:
    from penstock.cli.own_agent import has_left
    from penstock.client import agents

    for offset in count(0, _PAGE):
        rows = connection.rows(agents.read_agents(limit=_PAGE, offset=offset))
        yield from (row for row in rows if all_ or not has_left(row))
        if len(rows) < _PAGE:
            return
