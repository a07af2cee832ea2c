"""`penstock infrastructure`: what will be sent to a platform, and whether it would work."""

from contextlib import nullcontext
from typing import Any

import click

from penstock.cli import findings, output, rendering
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import current

_TYPES = [Column("TYPE", "slug"), Column("RUNS", "runs"), Column("SAID", "said")]

_OVERRIDE = click.option(
    "--override", "overrides", multiple=True, metavar="KEY=VALUE", help="Try it with this setting changed."
)


@group("infrastructure")
def command() -> None:
    """Show what is sent to a platform, and check whether it would work."""


@command.command("ls")
def ls() -> None:
    """List the types of infrastructure that there are."""
    from penstock.infrastructure.registry import known_types, why_not_run

    obstacles = {slug: why_not_run(slug) for slug in known_types()}
    rows = [{"slug": slug, "runs": said is None, "said": said or ""} for slug, said in obstacles.items()]
    output.emit(current(), rows, _TYPES, lambda row: str(row["slug"]))


@command.command("render")
@click.argument("reference", metavar="TYPE/NAME|TYPE")
@_OVERRIDE
@click.option("--explain", is_flag=True, help="Print where every effective value came from instead.")
@click.option("--diff", "run", metavar="RUN", help="Print what is different from the last launch of this run instead.")
def render(reference: str, overrides: tuple[str, ...], explain: bool, run: str | None) -> None:
    """Print the exact request that a run on this infrastructure would send; secrets are masked.

    Ids, names and tokens of the run stand for those to come. TYPE alone is a block with its defaults.
    """
    if explain and run is not None:
        raise UsageProblem("--explain and --diff exclude each other.")
    with _connected("/" in reference or run is not None) as connection:
        subject = rendering.named(connection, reference).with_texts(overrides, "--override")
        api_url = connection.api_url if connection else None
        if run is not None:
            rendering.emit_differences(connection, subject, run)
        elif explain:
            rendering.emit_origins(subject, api_url)
        else:
            rendering.emit_request(subject, api_url)


@command.command("check")
@click.argument("reference", metavar="TYPE/NAME|TYPE")
@_OVERRIDE
def check(reference: str, overrides: tuple[str, ...]) -> None:
    """Try from here what a run on this infrastructure will need; nothing is started.

    The exit code is 7 when something is wrong.
    """
    from penstock.infrastructure.checking import check_infrastructure

    with _connected("/" in reference) as connection:
        subject = rendering.named(connection, reference).with_texts(overrides, "--override")
        job = subject.job(connection.api_url if connection else None)
    findings.emit(check_infrastructure(subject.slug, subject.document, subject.layers, job))


def _connected(needed: bool) -> Any:
    """A connection where the server is needed; a type alone is known here."""
    none: nullcontext[Connection | None] = nullcontext(None)
    return connect() if needed else none
