"""`penstock run`: a flow of a file, on infrastructure, in one command."""

import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from penstock.cli import assignments, entrypoints, exit_codes, output, serving
from penstock.cli.children import Child
from penstock.cli.connection import Connection, connect
from penstock.cli.deployment_run import COLUMNS, create_run
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command as verb
from penstock.cli.infrastructure_options import new_infrastructure, read_overrides
from penstock.cli.session import Session, current
from penstock.cli.watch import watch_run
from penstock.errors import NotFound, PenstockError

_PATIENCE = 30.0


@verb("run")
@click.argument("entrypoint", metavar="FILE.py:FLOW")
@click.option(
    "-p", "--param", "params_", multiple=True, metavar="KEY=VALUE", help="One parameter; the value is JSON or text."
)
@click.option("--params", metavar="JSON", help="Parameters as a JSON object; - reads it from stdin.")
@click.option("--on", "infra", default="process", show_default=True, metavar="TYPE", help="Type of infrastructure.")
@click.option(
    "--override", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting of the infrastructure."
)
@click.option(
    "-q", "--work-queue", "queue", default="default", show_default=True, metavar="QUEUE", help="Work queue of the run."
)
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="Tag of the run; repeat it for more.")
@click.option("--detach", is_flag=True, help="Do not follow the run.")
def command(
    entrypoint: str,
    params_: tuple[str, ...],
    params: str | None,
    infra: str,
    overrides: tuple[str, ...],
    queue: str,
    tags: tuple[str, ...],
    detach: bool,
) -> int:
    """Run a flow of a file on infrastructure and follow it.

    Deploys it under a name made of the file's path and runs it. When no agent serves the queue, one is started for
    this run. The exit code tells how the run ended.
    """
    session = current()
    parameters = {**assignments.json_object(params, "--params"), **assignments.values(params_, "--param")}
    deployment = _deployment(entrypoint, infra, assignments.texts(overrides, "--override"), queue, parameters)
    with connect() as connection:
        served = serving.agents_of(connection, None, queue)
        if any(agent.get("host") != socket.gethostname() for agent in served):
            served = []  # a run that another machine may take would not find the file there
        identifier = str(deployment.apply())
        if detach:
            return _detached(connection, session, identifier, parameters, list(tags), queue, bool(served))
        if served:
            created = _create(connection, identifier, parameters, list(tags))
            _tell(session, created, f"the agent {serving.names(served)}")
            return watch_run(connection, session, created)
        return _with_own_agent(connection, session, identifier, parameters, list(tags))


def _deployment(entrypoint: str, infra: str, overrides: dict[str, str], queue: str, parameters: dict[str, Any]) -> Any:
    from penstock.infrastructure.registry import why_not_run
    from penstock.sdk.deployments import Deployment

    entrypoint = entrypoints.portable(entrypoint)
    infrastructure, overrides = new_infrastructure(infra, overrides)
    obstacle = why_not_run(infrastructure.get_block_type_slug())
    if obstacle is not None:
        raise UsageProblem(obstacle, hint="Run it on other infrastructure, e.g. --on process.")
    flow = entrypoints.load_flow(entrypoint)
    built = Deployment.build_from_flow(
        flow,
        generated_name(entrypoint),
        skip_upload=True,
        load_existing=False,
        infrastructure=infrastructure,
        infra_overrides=read_overrides(infrastructure, overrides),
        work_queue_name=queue,
        parameters=parameters,
        tags=["penstock-run"],
    )
    built.parameters = {}  # they were checked; they belong to the run, not to the deployment
    return built


def generated_name(entrypoint: str) -> str:
    """The name of the deployment that stands for a flow of a file: the same each time, so that none is left behind."""
    path, _, name = entrypoint.rpartition(":")
    place = str(Path(path).resolve()) if path.endswith(".py") else path
    return f"run-{hashlib.sha256(f'{place}:{name}'.encode()).hexdigest()[:8]}"


def _create(
    connection: Connection, deployment: str, parameters: dict[str, Any], tags: list[str], queue: str | None = None
) -> dict[str, Any]:
    # What the flow prints is to be seen here, wherever it runs: as log lines, unless the flow says otherwise itself.
    variables = {"env": {"PENSTOCK_LOGGING_LOG_PRINTS": "true"}}
    return create_run(connection, deployment, parameters=parameters, tags=tags, queue=queue, job_variables=variables)


def _tell(session: Session, created: dict[str, Any], who: str) -> None:
    output.done(
        session, f"Run {created['name']!r} ({created['id']}), by {who}.", created, COLUMNS, lambda row: str(row["id"])
    )


def _detached(
    connection: Connection,
    session: Session,
    deployment: str,
    parameters: dict[str, Any],
    tags: list[str],
    queue: str,
    served: bool,
) -> int:
    created = _create(connection, deployment, parameters, tags)
    _tell(session, created, f"the queue {queue!r}")
    if not served:
        session.warn(f"No agent takes runs from the queue {queue!r}. Start one: {serving.start_command(None, queue)}")
    session.say(f"  watch it: penstock flow-run watch {created['id']}")
    return exit_codes.OK


def _with_own_agent(
    connection: Connection, session: Session, deployment: str, parameters: dict[str, Any], tags: list[str]
) -> int:
    """Run on a queue that nobody else serves, with an agent that is stopped afterwards."""
    queue = f"run-{uuid4().hex[:12]}"
    with _own_agent(connection, session, queue) as agent:
        created = _create(connection, deployment, parameters, tags, queue)
        _tell(session, created, "an agent of its own")
        try:
            return watch_run(connection, session, created, alive=agent.check, detach=False)
        except KeyboardInterrupt:
            agent.keep_queue = True
            session.say(
                f"\nStopped watching and stopped the agent; {created['name']} goes on, and is looked after again by any"
                f" agent of this machine on its queue.\n"
                f"  look after it:  penstock agent start -q {queue}\n"
                f"  watch it:       penstock flow-run watch {created['id']}\n"
                f"  cancel it:      penstock flow-run cancel {created['id']}"
            )
            return exit_codes.INTERRUPTED


class _OwnAgent:
    """An agent for one run. `keep_queue`: the run goes on, so that its queue is still needed."""

    def __init__(self, connection: Connection, session: Session, queue: str) -> None:
        self.keep_queue = False
        self._session = session
        environ = {**os.environ, "PENSTOCK_API_URL": connection.api_url}
        self._child = Child("penstock.agent", ["-q", queue, "--name", queue], environ, self._tell, ready=True)

    def _tell(self, line: str) -> None:
        if self._session.verbose:
            print(f"agent | {line}", file=sys.stderr, flush=True)

    def wait_ready(self) -> None:
        self._child.wait_ready(_PATIENCE)

    def check(self) -> None:
        """Raise, with its last lines, if the agent has ended: nobody would take the run."""
        if not self._child.running:
            raise self._child.failure(f"ended with exit code {self._child.returncode}")

    def stop(self) -> None:
        self._child.stop()


@contextmanager
def _own_agent(connection: Connection, session: Session, queue: str) -> Iterator[_OwnAgent]:
    """An agent on `queue` for as long as the block runs; the queue goes with it."""
    agent = _OwnAgent(connection, session, queue)
    try:
        agent.wait_ready()
        yield agent
    finally:
        agent.stop()
        if not agent.keep_queue:
            _delete_queue(connection, queue)


def _delete_queue(connection: Connection, queue: str) -> None:
    from penstock.client import work_queues

    try:
        found = connection.row(work_queues.read_work_queue_by_name(queue))
        connection.send(work_queues.delete_work_queue(found["id"]))
    except NotFound:
        return
    except PenstockError as error:
        current().warn(f"The queue {queue!r} that was made for this run could not be deleted: {error.message}")
