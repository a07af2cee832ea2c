"""`penstock run`: a flow of a file, on infrastructure, in one command."""

import asyncio
import hashlib
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import assignments, entrypoints, exit_codes, processes, serving
from penstock.cli.connection import Connection, connect
from penstock.cli.deployment_run import create_run, tell_created
from penstock.cli.errors import UsageProblem
from penstock.cli.flow_run_cancel import ask
from penstock.cli.grammar import command as verb
from penstock.cli.infrastructure_options import infrastructure_meant, read_overrides
from penstock.cli.own_agent import own_agent
from penstock.cli.session import Session, current
from penstock.cli.watch import watch_run
from penstock.errors import Conflict

if TYPE_CHECKING:
    from penstock.infrastructure.block import Infrastructure

#: Seconds that a platform may take to say that it is there.
_PLATFORM_SECONDS = 30.0
#: What the flow prints is to be seen here, wherever it runs: as log lines, unless the flow says otherwise itself.
_SHOW_PRINTS = {"env.PENSTOCK_LOGGING_LOG_PRINTS": "true"}
#: Types whose jobs run on this machine, or are told another name for it.
_BESIDE_THE_SERVER = frozenset({"process", "docker-container"})
#: Nobody is there afterwards who would clear away what stays to be looked at.
_CLEAR_AWAY = {"auto_remove": True}


@verb("run")
@click.argument("entrypoint", metavar="FILE.py:FLOW")
@click.option(
    "-p", "--param", "params_", multiple=True, metavar="KEY=VALUE", help="One parameter; the value is JSON or text."
)
@click.option("--params", metavar="JSON", help="Parameters as a JSON object; - reads it from stdin.")
@click.option(
    "--on",
    "infra",
    default="process",
    show_default=True,
    metavar="TYPE[/NAME]",
    help="Type of infrastructure, e.g. docker; or a saved block of it.",
)
@click.option("--image", metavar="IMAGE", help="Image of the containers, for types that have one.")
@click.option(
    "--override", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting of the infrastructure."
)
@click.option("--include-secret-files", is_flag=True, help="Bundle files, too, that usually hold secrets.")
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
    image: str | None,
    overrides: tuple[str, ...],
    include_secret_files: bool,
    queue: str,
    tags: tuple[str, ...],
    detach: bool,
) -> int:
    """Run a flow of a file on infrastructure and follow it.

    Deploys it under a name made of the file's path and runs it. Where the infrastructure has an image, the current folder
    travels along as a bundle. When no agent serves the queue, one is started for this run, and Ctrl-C or SIGTERM cancels it.
    The exit code tells how the run ended.
    """
    session = current()
    parameters = {**assignments.json_object(params, "--params"), **assignments.values(params_, "--param")}
    changes = _with_image(assignments.texts(overrides, "--override"), image)
    built = _deployment(entrypoint, infra, changes, queue, parameters, include_secret_files)
    if image is not None and not hasattr(built.infrastructure, "image"):
        raise UsageProblem(
            f"A {built.infrastructure.get_block_type_slug()} has no image.",
            hint="Leave --image out, or say --on docker.",
        )
    with connect() as connection:
        order = _Order(connection, session, built, parameters, list(tags))
        served = serving.agents_of(connection, None, queue)
        if built.packed is None and any(agent.get("host") != socket.gethostname() for agent in served):
            served = []  # a run that another machine may take would not find the file there
        if detach:
            return order.detached(bool(served))
        return order.followed(serving.names(served)) if served else order.with_own_agent()


def _with_image(overrides: dict[str, str], image: str | None) -> dict[str, str]:
    if image is None:
        return overrides
    if overrides.get("image", image) != image:
        raise UsageProblem("--image and --override image=… say different things.", hint="Give one of them.")
    return {**overrides, "image": image}


def _deployment(
    entrypoint: str,
    infra: str,
    overrides: dict[str, str],
    queue: str,
    parameters: dict[str, Any],
    include_secret_files: bool,
) -> Any:
    from penstock.infrastructure.registry import why_not_run
    from penstock.sdk.deployments import Deployment

    entrypoint = entrypoints.portable(entrypoint)
    infrastructure, overrides = infrastructure_meant(infra, overrides)
    slug = infrastructure.get_block_type_slug()
    obstacle = why_not_run(slug)
    if obstacle is not None:
        raise UsageProblem(obstacle, hint="Run it on other infrastructure, e.g. --on process.")
    flow = entrypoints.load_flow(entrypoint)
    return Deployment.build_from_flow(
        flow,
        generated_name(entrypoint, slug),
        skip_upload=True,
        load_existing=False,
        include_secret_files=include_secret_files,
        infrastructure=infrastructure,
        infra_overrides=read_overrides(infrastructure, overrides),
        work_queue_name=queue,
        parameters=parameters,
        tags=["penstock-run"],
    )


def generated_name(entrypoint: str, slug: str) -> str:
    """The name of the deployment that stands for a flow of a file on infrastructure of that type.

    It is the same each time, so that none is left behind.
    """
    path, _, name = entrypoint.rpartition(":")
    place = str(Path(path).resolve()) if path.endswith(".py") else path
    return f"run-{hashlib.sha256(f'{place}:{name}:{slug}'.encode()).hexdigest()[:8]}"


class _Order:
    """One run that was asked for on the command line, with the deployment that it takes."""

    def __init__(
        self, connection: Connection, session: Session, built: Any, parameters: dict[str, Any], tags: list[str]
    ) -> None:
        self._connection, self._session, self._built = connection, session, built
        self._parameters, self._tags = parameters, tags
        # They were checked; they belong to this run, and the same flow may be asked for with others meanwhile.
        self._overrides = dict(built.infra_overrides)
        self._usual = {field: value for field, value in _CLEAR_AWAY.items() if hasattr(built.infrastructure, field)}
        built.parameters, built.infra_overrides = {}, {}

    def followed(self, agents: str) -> int:
        """Have it run by agents that are there."""
        created = self._create(f"the agent {agents}")
        return watch_run(self._connection, self._session, created)

    def detached(self, served: bool) -> int:
        """Leave it to whoever serves the queue."""
        queue = str(self._built.work_queue_name)
        created = self._create(f"the queue {queue!r}", is_watched=False)
        if not served:
            start = serving.start_command(None, queue)
            self._session.warn(f"No agent takes runs from the queue {queue!r}. Start one: {start}")
        self._session.say(f"  watch it: penstock flow-run watch {created['id']}")
        return exit_codes.OK

    def with_own_agent(self) -> int:
        """Run it on a queue that nobody else serves, with an agent that is stopped afterwards."""
        acting = _as_it_will_run(self._built.infrastructure, self._overrides)
        refuse_unreachable(acting, self._connection.api_url)
        # who ends this command politely, as a CI system does that was told to stop, wants no run to be left either
        signal.signal(signal.SIGTERM, processes.as_interrupt)
        with own_agent(self._connection, self._session, meanwhile=lambda: meet_platform(acting)) as agent:
            created = self._create("an agent of its own", agent.queue)
            try:
                return watch_run(self._connection, self._session, created, alive=agent.check, on_interrupt=self._cancel)
            except KeyboardInterrupt:
                agent.keep_queue = True
                self._session.say(
                    f"\nLeft at once; {created['name']} is looked after again by any agent of this machine on its queue.\n"
                    f"  look after it:  penstock agent start -q {agent.queue}\n"
                    f"  watch it:       penstock flow-run watch {created['id']}"
                )
                return exit_codes.INTERRUPTED

    def _create(self, who: str, queue: str | None = None, *, is_watched: bool = True) -> dict[str, Any]:
        """Deploy the flow, ask for the run, and tell it."""
        packed = self._built.packed
        if packed is not None:
            self._session.say(packed.manifest().partition("\n")[0])
        if packed is not None and (warning := packed.warning()) is not None:
            self._session.warn(warning)
        created = create_run(
            self._connection,
            str(self._built.apply()),
            parameters=self._parameters,
            tags=self._tags,
            queue=queue,
            job_variables={**_SHOW_PRINTS, **self._usual, **self._overrides},
        )
        said = f"Run {created['name']!r} ({created['id']}), by {who}."
        tell_created(self._session, said, created, is_watched=is_watched)
        return created

    def _cancel(self, run: dict[str, Any]) -> None:
        self._session.say(
            f"\nCancelling {run['name']}, until nothing of it is left. Ctrl-C once more leaves it at once."
        )
        try:
            ask(self._connection, run)
        except Conflict:
            return  # it has ended meanwhile


def _as_it_will_run(infrastructure: "Infrastructure", overrides: dict[str, Any]) -> "Infrastructure":
    from penstock.blocks.references import resolved
    from penstock.infrastructure.effective import Layer, effective
    from penstock.sdk import block_data

    document = block_data.as_claimed(infrastructure)
    slug = infrastructure.get_block_type_slug()
    return resolved(effective(slug, document, [Layer("--override", overrides)]).infrastructure)


def refuse_unreachable(infrastructure: "Infrastructure", api_url: str) -> None:
    """Raise UsageProblem where jobs of `infrastructure` would be told an address of the API that means themselves.

    An address that is said for the job alone is taken as it is.
    """
    from penstock.infrastructure.containers import local_host_in
    from penstock.infrastructure.variables import API_URL

    slug, host = infrastructure.get_block_type_slug(), local_host_in(api_url)
    if host is None or slug in _BESIDE_THE_SERVER or infrastructure.env.get(API_URL):
        return
    raise UsageProblem(
        f"A {slug} does not reach the API at {api_url}: there, {host} means the job itself.",
        hint=f"Start a server for other machines (penstock server start --host 0.0.0.0) and set {API_URL} to this "
        f"machine's address, and PENSTOCK_API_KEY; or name an address for the job: --override env.{API_URL}=…",
    )


def meet_platform(infrastructure: "Infrastructure") -> None:
    """Ask the platform that jobs of `infrastructure` run on whether it is there, before anybody waits for it.

    Raises ConfigurationError if the packages for it are missing, NotReachable with what the platform's library said.
    """
    from penstock.errors import NotReachable
    from penstock.infrastructure import registry

    slug = infrastructure.get_block_type_slug()

    async def meet() -> None:
        driver = registry.driver_for(slug)
        try:
            async with asyncio.timeout(_PLATFORM_SECONDS):
                await driver.reach(infrastructure)
        except TimeoutError:
            raise NotReachable(f"The platform of {slug} jobs did not answer within {_PLATFORM_SECONDS:g} s.") from None
        finally:
            await driver.close()

    asyncio.run(meet())
