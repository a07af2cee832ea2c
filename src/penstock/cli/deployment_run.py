"""`penstock deployment run`: ask for a run, and follow it if wanted."""

from datetime import datetime
from typing import Any

import click

from penstock import clock
from penstock.cli import assignments, output, references, serving, times
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command
from penstock.cli.session import Session, current
from penstock.cli.watch import COLUMNS, is_told_at_the_end, watch_run


@command("run")
@click.argument("name", required=False)
@click.option("--id", "id_", metavar="UUID", help="Id of the deployment, instead of NAME.")
@click.option(
    "-p", "--param", "params_", multiple=True, metavar="KEY=VALUE", help="One parameter; the value is JSON or text."
)
@click.option("--params", metavar="JSON", help="Parameters as a JSON object; - reads it from stdin.")
@click.option(
    "-jv", "--job-variable", "variables", multiple=True, metavar="KEY=VALUE", help="One override of the infrastructure."
)
@click.option("--start-in", metavar="TIME", help="Start after this time, e.g. 10m or '2 hours'.")
@click.option("--start-at", metavar="TIME", help="Start at this time, e.g. 2030-01-31T09:00.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag of the run; repeat it for more.")
@click.option("--name", "run_name", metavar="NAME", help="Name of the run; by default the server makes one up.")
@click.option("--watch", is_flag=True, help="Follow the run to its end; the exit code tells how it ended.")
@click.option("--watch-interval", type=click.FloatRange(min=0.1), default=0.4, help="Seconds between two looks.")
@click.option(
    "--watch-timeout", type=click.FloatRange(min=0), help="Seconds after which --watch gives up, with exit code 8."
)
def run(
    name: str | None,
    id_: str | None,
    params_: tuple[str, ...],
    params: str | None,
    variables: tuple[str, ...],
    start_in: str | None,
    start_at: str | None,
    tags: tuple[str, ...],
    run_name: str | None,
    watch: bool,
    watch_interval: float,
    watch_timeout: float | None,
) -> int | None:
    """Create a run of a deployment, due now or later.

    NAME is flow/deployment, or the deployment's name alone where it is the only one.
    """
    parameters = {**assignments.json_object(params, "--params"), **assignments.values(params_, "--param")}
    due = due_time(start_in, start_at)
    session = current()
    with connect() as connection:
        deployment = references.one_deployment(connection, name, id_)
        job_variables = _job_variables(connection, deployment, variables)
        created = create_run(
            connection,
            deployment["id"],
            parameters=parameters,
            due=due,
            tags=list(tags),
            name=run_name,
            job_variables=job_variables,
        )
        when = f", due {times.ago(created['expected_start_time'])}" if due else ""
        message = f"Created the run {created['name']!r} of {deployment['flow_name']}/{deployment['name']}{when}.\n"
        tell_created(session, f"{message}  id: {created['id']}", created, is_watched=watch)
        tell_agents(connection, session, deployment, created)
        if watch:
            return watch_run(connection, session, created, timeout=watch_timeout, interval=watch_interval)
        session.say(f"  watch it: penstock flow-run watch {created['id']}")
    return None


def tell_created(session: Session, message: str, created: dict[str, Any], *, is_watched: bool) -> None:
    """Tell that a run was made. One that is watched is shown at the end, where there is to be one object of data."""
    if is_watched and is_told_at_the_end(session):
        session.say(message)
    else:
        output.done(session, message, created, COLUMNS, lambda row: str(row["id"]))


def _job_variables(connection: Connection, deployment: dict[str, Any], texts: tuple[str, ...]) -> dict[str, Any] | None:
    """The overrides of this run alone. Raises ConfigurationError if its infrastructure would not take one."""
    if not texts:
        return None
    from penstock.cli.rendering import of_deployment
    from penstock.infrastructure.effective import infrastructure_class, overridable
    from penstock.infrastructure.overrides import refuse_secrets

    subject = of_deployment(connection, deployment).with_texts(texts, "--job-variable")
    subject.effective()
    found = subject.layers[-1].overrides
    assert isinstance(found, dict)
    refuse_secrets(found, overridable(infrastructure_class(subject.slug))["secret_fields"], "--job-variable")
    return found


def due_time(start_in: str | None, start_at: str | None) -> datetime | None:
    """When a run shall start; None: now. Raises UsageProblem."""
    if start_in is not None and start_at is not None:
        raise UsageProblem("--start-in and --start-at exclude each other.")
    if start_in is not None:
        return clock.now() + times.parse_duration(start_in.strip().removeprefix("in "))
    return times.parse_moment(start_at) if start_at is not None else None


def create_run(
    connection: Connection,
    deployment_id: str,
    *,
    parameters: dict[str, Any],
    due: datetime | None = None,
    tags: list[str] | None = None,
    name: str | None = None,
    queue: str | None = None,
    job_variables: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Create a run of a deployment and return it as plain JSON."""
    from penstock.client import flow_runs
    from penstock.model.flow_runs import DeploymentFlowRunCreate
    from penstock.model.states import StateCreate, StateDetails, StateType

    state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=due or clock.now()))
    request = DeploymentFlowRunCreate(
        state=state,
        parameters=parameters,
        tags=tags or [],
        name=name,
        work_queue_name=queue,
        job_variables=job_variables,
    )
    identifier = references.as_uuid(deployment_id)
    assert identifier is not None
    return connection.row(flow_runs.create_flow_run_from_deployment(identifier, request))


def tell_agents(connection: Connection, session: Session, deployment: dict[str, Any], created: dict[str, Any]) -> None:
    """Say at once if nobody would take the run, with the command that starts somebody."""
    queue = created.get("work_queue_name") or deployment.get("work_queue_name") or "default"
    pool = created.get("work_pool_name") or deployment.get("work_pool_name")
    if not serving.agents_of(connection, pool, queue):
        session.warn(f"No agent takes runs from the queue {queue!r}. Start one: {serving.start_command(pool, queue)}")
