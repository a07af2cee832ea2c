"""`penstock server`: start the server, and look after its database."""

import os
import sys

import click

from penstock import settings
from penstock.cli import processes
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.session import Session, current


@group("server")
def command() -> None:
    """Start the server and manage its database."""


@command.command("start", data=False)
@click.option("--host", metavar="HOST", help="Address to listen on.  [PENSTOCK_SERVER_API_HOST, 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0: any free one.  [PENSTOCK_SERVER_API_PORT, 4200]")
@click.option("--log-level", metavar="LEVEL", help="Level of the server's own log.  [PENSTOCK_LOGGING_SERVER_LEVEL]")
@click.option("--scheduler/--no-scheduler", default=None, help="Whether this server plans scheduled runs.")
@click.option("--late-runs/--no-late-runs", default=None, help="Whether this server marks late runs.")
@click.option(
    "--analytics-on/--analytics-off", expose_value=False, help="Accepted for old scripts; nothing is ever sent home."
)
def start(
    host: str | None, port: int | None, log_level: str | None, scheduler: bool | None, late_runs: bool | None
) -> None:
    """Start the server and stay with it until Ctrl-C."""
    session = current()
    host = host or str(settings.get("PENSTOCK_SERVER_API_HOST"))
    port = int(settings.get("PENSTOCK_SERVER_API_PORT")) if port is None else port
    processes.check_port(host, port)
    environ = dict(os.environ)
    given = {
        "PENSTOCK_LOGGING_SERVER_LEVEL": log_level.upper() if log_level else None,
        "PENSTOCK_API_SERVICES_SCHEDULER_ENABLED": None if scheduler is None else str(scheduler),
        "PENSTOCK_API_SERVICES_LATE_RUNS_ENABLED": None if late_runs is None else str(late_runs),
    }
    environ.update({name: value for name, value in given.items() if value is not None})
    arguments = ["--host", host, "--port", str(port)]
    if not session.quiet:
        arguments += ["--ready-fd", str(processes.announce(lambda url: _welcome(session, url)))]
    processes.become("penstock.server", arguments, environ)


def _welcome(session: Session, url: str) -> None:
    api_url = f"{url.rstrip('/')}/api"
    lines = [f"The server is ready: {api_url}"]
    if settings.get("PENSTOCK_API_URL") != api_url:
        lines.append(f"  point this machine at it:  penstock config set PENSTOCK_API_URL={api_url}")
    lines.append("  start an agent:            penstock agent start -q default")
    session.say("\n".join(lines))


@command.group("database")
def database() -> None:
    """Bring the server's database to another schema, or empty it."""


def _confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone. Without a terminal nobody can be asked: --yes is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageProblem("This needs a confirmation, and there is no terminal to ask on.", hint="Say it with --yes.")
    click.confirm(question, abort=True, err=True)


def _where() -> str:
    url = settings.database_url()
    return url if url.startswith("sqlite") else url.split("@")[-1]


@database.command("upgrade", data=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for a confirmation.")
@click.option("-r", "revision", default="head", show_default=True, help="Revision to go to.")
def upgrade(yes: bool, revision: str) -> None:
    """Bring the database to a newer schema."""
    _confirm(f"Upgrade the database {_where()} to {revision}?", yes)
    processes.become("penstock.server", ["database", "upgrade", "--revision", revision], os.environ)


@database.command("downgrade", data=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for a confirmation.")
@click.option("-r", "revision", default="-1", show_default=True, help="Revision to go back to.")
def downgrade(yes: bool, revision: str) -> None:
    """Take the database back to an older schema; what it cannot hold is lost."""
    _confirm(f"Downgrade the database {_where()} to {revision}? What the older schema cannot hold is lost.", yes)
    processes.become("penstock.server", ["database", "downgrade", "--revision", revision], os.environ)


@database.command("reset", data=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for a confirmation.")
def reset(yes: bool) -> None:
    """Delete everything in the database and make it anew."""
    _confirm(f"Delete everything in the database {_where()}?", yes)
    processes.become("penstock.server", ["database", "reset"], os.environ)
