"""`penstock up`: a server and an agent in one terminal."""

import os
import signal
import sys
import time
from contextlib import ExitStack

import click

from penstock import settings
from penstock.cli import exit_codes, processes
from penstock.cli.children import Child, prefixed
from penstock.cli.grammar import command as verb
from penstock.cli.serving import DEFAULT_POOL
from penstock.cli.session import Session, current

#: Seconds that the server and the agent may take to be ready.
_PATIENCE = 60.0


@verb("up", data=False)
@click.option("--host", metavar="HOST", help="Address of the server.  [PENSTOCK_SERVER_API_HOST, 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port of the server; 0: any free one.  [PENSTOCK_SERVER_API_PORT, 4200]",
)
@click.option(
    "-q", "--work-queue", "queues", multiple=True, metavar="QUEUE", help="Queue that the agent serves.  [default: all]"
)
@click.option("-l", "--limit", type=click.IntRange(min=1), help="Most runs that may be live at once.")
def command(host: str | None, port: int | None, queues: tuple[str, ...], limit: int | None) -> int:
    """Start a server and an agent in this terminal.

    Ctrl-C stops both; runs that are under way go on and are found again by the next agent.
    """
    session = current()
    host = host or str(settings.get("PENSTOCK_SERVER_API_HOST"))
    port = int(settings.get("PENSTOCK_SERVER_API_PORT")) if port is None else port
    processes.check_port(host, port)
    signal.signal(signal.SIGTERM, processes.as_interrupt)
    with ExitStack() as stack:
        try:
            server, api_url = _start_server(session, stack, host, port)
            agent = _start_agent(session, stack, api_url, queues, limit)
            _welcome(session, api_url)
            if not sys.stdout.isatty():
                print(api_url, flush=True)  # for the script that started us
            return _stay(session, [server, agent])
        except KeyboardInterrupt:
            session.say("\nStopping the agent and the server. Runs that are under way go on.")
            return exit_codes.OK


def _start_server(session: Session, stack: ExitStack, host: str, port: int) -> tuple[Child, str]:
    colour = "36" if session.coloured(sys.stderr) else None
    arguments = ["--host", host, "--port", str(port)]
    server = Child("penstock.server", arguments, os.environ, prefixed("server", 6, colour), ready=True)
    stack.callback(server.stop)
    return server, f"{server.wait_ready(_PATIENCE).rstrip('/')}/api"


def _start_agent(session: Session, stack: ExitStack, api_url: str, queues: tuple[str, ...], limit: int | None) -> Child:
    colour = "35" if session.coloured(sys.stderr) else None
    arguments = [word for queue in queues for word in ("-q", queue)] or ["-p", DEFAULT_POOL]
    if limit is not None:
        arguments += ["-l", str(limit)]
    environ = {**os.environ, "PENSTOCK_API_URL": api_url}
    agent = Child("penstock.agent", arguments, environ, prefixed("agent", 6, colour), ready=True)
    stack.callback(agent.stop)
    agent.wait_ready(_PATIENCE)
    return agent


def _welcome(session: Session, api_url: str) -> None:
    export = "" if settings.get("PENSTOCK_API_URL") == api_url else f"\n    export PENSTOCK_API_URL={api_url}"
    session.say(
        f"\nPenstock is up: {api_url}\n"
        f"  in another terminal:{export}\n"
        "    penstock run FILE.py:FLOW\n"
        "    penstock deployment build FILE.py:FLOW -n NAME -a\n"
        "  Ctrl-C stops it.\n"
    )


def _stay(session: Session, children: list[Child]) -> int:
    while True:
        for child in children:
            if not child.running:
                raise child.failure(f"ended with exit code {child.returncode}")
        time.sleep(0.2)
