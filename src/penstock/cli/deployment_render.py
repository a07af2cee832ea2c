"""`penstock deployment render`: the exact request that a deployment's runs send to their platform."""

from pathlib import Path
from typing import Any

import click

from penstock.cli import references, rendering
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command


@command("render")
@click.argument("reference", metavar="NAME|FILE.yaml")
@click.option("--override", "overrides", multiple=True, metavar="KEY=VALUE", help="Try it with this setting changed.")
@click.option(
    "-jv", "--job-variable", "variables", multiple=True, metavar="KEY=VALUE", help="One override of a run's own."
)
@click.option("--explain", is_flag=True, help="Print where every effective value came from instead.")
@click.option("--diff", "run", metavar="RUN", help="Print what is different from the last launch of this run instead.")
def render(
    reference: str, overrides: tuple[str, ...], variables: tuple[str, ...], explain: bool, run: str | None
) -> None:
    """Print the exact request that a run of the deployment would send; secrets are masked.

    Ids, names and tokens of the run stand for those to come. A file is rendered as it would be applied.
    """
    if explain and run is not None:
        raise UsageProblem("--explain and --diff exclude each other.")
    with connect() as connection:
        subject = find(connection, reference)[0]
        subject = subject.with_texts(overrides, "--override").with_texts(variables, "--job-variable")
        if run is not None:
            rendering.emit_differences(connection, subject, run)
        elif explain:
            rendering.emit_origins(subject, connection.api_url)
        else:
            rendering.emit_request(subject, connection.api_url)


def find(connection: Connection, reference: str) -> tuple[rendering.Subject, Any]:
    """The infrastructure of the deployment that is named, and the deployment itself: a `Deployment` of the SDK.

    Raises NotFound, UsageProblem; ConfigurationError about a file.
    """
    from penstock.sdk.deployments import Deployment

    if reference.endswith((".yaml", ".yml")):
        if not Path(reference).is_file():
            raise UsageProblem(f"There is no file {reference!r} here.", hint="A deployment is named FLOW/DEPLOYMENT.")
        deployment = Deployment.load_from_yaml(reference)
        return rendering.of_file(deployment, reference), deployment
    row = references.deployment(connection, reference)
    return rendering.of_deployment(connection, row), _from_server(connection, row)


def _from_server(connection: Connection, row: dict[str, Any]) -> Any:
    """The deployment of the server as the SDK has it."""
    from penstock.sdk import block_data
    from penstock.sdk.deployments import Deployment

    names = (
        "name", "description", "version", "tags", "work_queue_name", "work_pool_name", "parameters", "infra_overrides",
        "path", "entrypoint", "parameter_openapi_schema",
    )  # fmt: skip
    values = {name: row[name] for name in names if row.get(name) is not None}
    for field in ("infrastructure", "storage"):
        identifier = references.as_uuid(str(row.get(f"{field}_document_id") or ""))
        block = block_data.from_document(connection.client, identifier)
        if block is not None:
            values[field] = block
    return Deployment.from_fields({**values, "flow_name": row["flow_name"]}, str(row["name"]))
