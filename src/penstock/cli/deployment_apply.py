"""`penstock deployment apply`: tell the server what deployment files say."""

import glob
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import output, serving
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.session import current

if TYPE_CHECKING:
    from penstock.sdk.deployments import Deployment

_COLUMNS = [Column("NAME", "full_name"), Column("QUEUE", "work_queue_name"), Column("ID", "id")]


@command("apply")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True)
@click.option("--upload", is_flag=True, help="Copy the current folder into the deployment's storage first.")
@click.option("-l", "--limit", type=click.IntRange(min=0), help="Concurrency limit of the deployment's work queue.")
def apply(paths: tuple[str, ...], upload: bool, limit: int | None) -> None:
    """Create or change deployments as their files say; nothing is sent unless all files are right."""
    from penstock.client.admin import read_health
    from penstock.sdk.deployments import Deployment

    files = [path for pattern in paths for path in sorted(glob.glob(pattern)) or [pattern]]
    found = [Deployment.load_from_yaml(path) for path in files]
    for deployment in found:
        deployment.check()
    with connect() as connection:
        connection.send(read_health())
        for deployment in found:
            send(connection, deployment, upload=upload, limit=limit)


def send(connection: Connection, deployment: "Deployment", *, upload: bool = False, limit: int | None = None) -> None:
    """Apply one deployment and tell what to do next."""
    from penstock.client import deployments

    session = current()
    if upload and deployment.storage is None:
        raise UsageProblem(
            f"The deployment {deployment.name!r} has no storage to upload to.", hint="Build it with -sb TYPE/NAME."
        )
    warn_if_not_run(deployment)
    identifier = deployment.apply(upload=upload, work_queue_concurrency=limit)
    row: dict[str, Any] = connection.row(deployments.read_deployment(identifier))
    row["full_name"] = f"{deployment.flow_name}/{deployment.name}"
    message = f"Applied the deployment {row['full_name']!r}.\n  run it: penstock deployment run {row['full_name']!r}"
    pool, queue = row.get("work_pool_name"), row.get("work_queue_name") or "default"
    if not serving.agents_of(connection, pool, queue):
        message += f"\n  no agent serves its queue {queue!r} yet: {serving.start_command(pool, queue)}"
    output.done(session, message, row, _COLUMNS, lambda found: str(found["full_name"]))


def warn_if_not_run(deployment: "Deployment") -> None:
    """Say it now if runs of the deployment are bound to fail, because its infrastructure cannot be run."""
    from penstock.infrastructure.registry import why_not_run

    obstacle = why_not_run(deployment.infrastructure.get_block_type_slug())
    if obstacle is not None:
        current().warn(f"{obstacle} Runs of this deployment will fail.")
