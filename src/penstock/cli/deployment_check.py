"""`penstock deployment check`: everything that a deployment's runs will need, tried before there is one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import assignments, findings, serving
from penstock.cli.connection import Connection, connect
from penstock.cli.deployment_render import find
from penstock.cli.grammar import command
from penstock.errors import NotFound, PenstockError

if TYPE_CHECKING:
    from penstock.model.findings import Finding


@command("check")
@click.argument("reference", metavar="NAME|FILE.yaml")
@click.option(
    "-jv", "--job-variable", "variables", multiple=True, metavar="KEY=VALUE", help="One override of a run's own."
)
@click.option(
    "--param", "params_", multiple=True, metavar="KEY=VALUE", help="Try it with this parameter; JSON or text."
)
def check(reference: str, variables: tuple[str, ...], params_: tuple[str, ...]) -> None:
    """Try what the deployment's runs will need: parameters, code, storage, infrastructure, queue and agent.

    No run is created, and of the code nothing runs but its import. The exit code is 7 when something is wrong.
    """
    from penstock.infrastructure.checking import check_infrastructure

    with connect() as connection:
        subject, deployment = find(connection, reference)
        subject = subject.with_texts(variables, "--job-variable")
        deployment.parameters = {**deployment.parameters, **assignments.values(params_, "--param")}
        is_file = reference.endswith((".yaml", ".yml"))
        found = [
            *_own(deployment),
            *(_judged_by_the_server(deployment) if is_file else ()),
            *_code(deployment),
            *_storage(deployment),
            *check_infrastructure(subject.slug, subject.document, subject.layers, subject.job(connection.api_url)),
            *_queue(connection, deployment),
        ]
    findings.emit(found)


def _own(deployment: Any) -> Iterator["Finding"]:
    from penstock.model.findings import Finding

    tried = "names of overrides and parameters"
    try:
        deployment.check()
        yield Finding(tried, True, "all of them exist")
    except PenstockError as error:
        yield Finding(tried, False, error.message, error.hint or "")


def _judged_by_the_server(deployment: Any) -> Iterator["Finding"]:
    """What applying the file would do: schedules, limits and the rest are the server's to judge."""
    from penstock.model.findings import Finding

    tried = "applying it, without doing so"
    try:
        changes = deployment.diff()
    except PenstockError as error:
        yield Finding(tried, False, error.message, error.hint or "")
        return
    fields = ", ".join(dict.fromkeys(str(change.field) for change in changes))
    yield Finding(tried, True, f"the server would change {fields}" if fields else "nothing would change")


def _code(deployment: Any) -> "list[Finding]":
    from penstock.sdk.deployment_check import check_code

    return check_code(deployment, parameters=deployment.parameters)


def _storage(deployment: Any) -> "list[Finding]":
    from penstock.infrastructure.checking import check_block

    return check_block(deployment.storage) if deployment.storage is not None else []


def _queue(connection: Connection, deployment: Any) -> Iterator["Finding"]:
    from penstock.client import work_queues
    from penstock.model.findings import Finding
    from penstock.model.work_queues import DEFAULT_QUEUE

    name, pool = deployment.work_queue_name or DEFAULT_QUEUE, deployment.work_pool_name
    of_pool = f" of the pool {pool!r}" if pool and pool != serving.DEFAULT_POOL else ""
    where = f"the work queue {name!r}{of_pool}"
    try:
        queue = connection.row(work_queues.read_work_queue_by_name(name, pool))
        paused = bool(queue.get("is_paused"))
        fix = f"penstock work-queue resume {name}" if paused else ""
        yield Finding(where, not paused, "it is paused" if paused else "it takes runs", fix)
    except NotFound:
        yield Finding(where, True, "it does not exist yet; the first run or agent makes it")
    agents = serving.agents_of(connection, pool, name)
    fix = "" if agents else serving.start_command(pool, name)
    said = f"{serving.names(agents)} takes its runs" if agents else "none that is online takes its runs"
    yield Finding(f"an agent for {where}", bool(agents), said, fix)
