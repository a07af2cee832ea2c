"""`penstock kubernetes`: manifests of a server, an agent and a Job."""

import base64
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from penstock import settings
from penstock.cli import output
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import group
from penstock.cli.output import Column
from penstock.cli.session import Session, current

_COLUMNS = [Column("KIND", "kind"), Column("NAME", "metadata.name"), Column("NAMESPACE", "metadata.namespace")]
_JOB_HEAD = """\
# The manifest that Jobs of flow runs are made from, for the field `job` of a KubernetesJob block:
#   KubernetesJob(job=KubernetesJob.job_from_file("this.yaml"))
# The first container is the flow run's; image, args and variables are set when a run is started. It has to stay one pod
# that is started once: the agent and the server decide whether a run is tried again.
"""


@group("kubernetes")
def command() -> None:
    """Print manifests of a server, an agent and flow runs for Kubernetes."""


@command.group("manifest")
def manifest() -> None:
    """Print manifests, to be looked at, changed, and given to `kubectl apply -f -`."""


_IMAGE = click.option(
    "-i", "--image-tag", "image", metavar="IMAGE", help="The image; by default the one of this version and this Python."
)
_NAMESPACE = click.option("-n", "--namespace", default="default", show_default=True, help="The namespace.")
_REPLICAS = click.option(
    "--replicas", type=click.IntRange(min=1), default=1, show_default=True, help="How many of them."
)
_ACCOUNT = click.option("--service-account", metavar="NAME", help="A service account that there is.")
_KEY_FILE = click.option("--api-key-file", metavar="FILE", help="The file that the key is in; - for standard input.")
_KEY_SECRET = click.option("--api-key-secret", metavar="NAME", help="A Secret that has the key already.")
_PARTS = click.option(
    "--secrets",
    "parts",
    type=click.Choice(["all", "only", "none"]),
    default="all",
    show_default=True,
    help="Print Secrets along with the rest, alone, or not at all.",
)


def _server_options(run: Callable[..., None]) -> Callable[..., None]:
    """The options of `server`, which has an old name too."""
    for option in reversed(
        [
            _IMAGE,
            _NAMESPACE,
            click.option(
                "--log-level", metavar="LEVEL", help="Level of the server's log.  [PENSTOCK_LOGGING_SERVER_LEVEL]"
            ),
            _REPLICAS,
            click.option(
                "--with-postgres", is_flag=True, help="Print a PostgreSQL for it too, instead of using SQLite."
            ),
            click.option(
                "--database-url-secret",
                "database",
                metavar="NAME[/KEY]",
                help="A Secret with the URL of a PostgreSQL that there is; the key is database-url unless said.",
            ),
            click.option("--storage-size", default="5Gi", show_default=True, help="Size of the database's volume."),
            click.option("--storage-class", metavar="NAME", help="Storage class of that volume."),
            click.option("--postgres-image", default="postgres:16", show_default=True, help="Image of the PostgreSQL."),
            click.option("--api-key", help="The key that clients have to show; made if it is not given."),
            _KEY_FILE,
            _KEY_SECRET,
            _ACCOUNT,
            _PARTS,
        ]
    ):
        run = option(run)
    return run


@manifest.command("server")
@_server_options
def server(**given: Any) -> None:
    """Print a server: Deployment, Service, its keys, and a volume or a database.

    Keys that are not given are made anew each time. They cannot be changed once they are applied: print later versions
    with --secrets none.
    """
    _print_server(**given)


@manifest.command("orion", hidden=True)
@_server_options
def orion(**given: Any) -> None:
    """Print a server: the old name of `server`."""
    _print_server(**given)


@manifest.command("agent")
@click.option(
    "--api-url", metavar="URL", help="The server's API, by default that of `manifest server`.  [PENSTOCK_API_URL]"
)
@click.option("--api-key", help="The key that it shows the server.  [PENSTOCK_API_KEY]")
@_KEY_FILE
@_KEY_SECRET
@_IMAGE
@_NAMESPACE
@click.option(
    "-q", "--work-queue", "queues", multiple=True, metavar="QUEUE", help="Take runs from this queue.  [kubernetes]"
)
@click.option("-p", "--pool", "pools", multiple=True, metavar="POOL", help="Work pool that the queues belong to.")
@click.option("-l", "--limit", type=click.IntRange(min=1), help="Most runs that may be live at once.")
@_REPLICAS
@_ACCOUNT
@click.option(
    "--job-namespace",
    "job_namespaces",
    multiple=True,
    metavar="NAME",
    help="A namespace in which it may start Jobs, by default its own; repeat it for more.",
)
@_PARTS
def agent(
    image: str | None, queues: tuple[str, ...], api_url: str | None, api_key: str | None, parts: str, **given: Any
) -> None:
    """Print an agent: Deployment, service account, and roles that allow what it does and no more."""
    from penstock.infrastructure.images import default_image
    from penstock.infrastructure.kubernetes.installation import AgentOptions, agent_objects
    from penstock.infrastructure.kubernetes.installation.agent import NAME
    from penstock.infrastructure.kubernetes.installation.server import NAME as SERVER
    from penstock.infrastructure.kubernetes.installation.server import PORT

    session = current()
    inside = f"http://{SERVER}:{PORT}/api"
    api_url = api_url or settings.get("PENSTOCK_API_URL") or inside
    key, secret = _key(
        api_key or settings.get("PENSTOCK_API_KEY"), given.pop("api_key_file"), given.pop("api_key_secret")
    )
    if secret is None:
        secret = NAME if key else SERVER if api_url == inside else None
    _warn_of_local_address(session, api_url)
    if api_url == inside and key is None:
        session.say(f"It speaks to {inside} with the key in the Secret {secret}, as `manifest server` prints them.")
    queues = queues or (() if given["pools"] else ("kubernetes",))
    options = AgentOptions(
        image or default_image(), api_url, work_queues=queues, secret_name=secret, api_key=key, **given
    )
    _emit(session, agent_objects(options), parts)


@manifest.command("flow-run-job")
def flow_run_job() -> None:
    """Print the manifest that Jobs of flow runs are made from, to be changed and given to a block."""
    from penstock.infrastructure.kubernetes.installation import to_yaml
    from penstock.infrastructure.kubernetes.manifest import base_manifest

    session = current()
    if session.output is None and not session.fields:
        output.write(_JOB_HEAD + to_yaml([base_manifest()]))
    else:
        _emit(session, [base_manifest()], "all")


def _print_server(
    image: str | None,
    log_level: str | None,
    with_postgres: bool,
    database: str | None,
    api_key: str | None,
    api_key_file: str | None,
    api_key_secret: str | None,
    parts: str,
    **given: Any,
) -> None:
    from penstock.infrastructure.images import default_image
    from penstock.infrastructure.kubernetes.installation import ServerOptions, server_objects
    from penstock.infrastructure.kubernetes.installation.server import NAME

    session = current()
    key, secret = _key(api_key or settings.get("PENSTOCK_SERVER_API_KEY"), api_key_file, api_key_secret)
    if key is None and secret is None and parts != "none":
        key = secrets.token_urlsafe(32)
        where = f"kubectl get secret {NAME} -n {given['namespace']} -o jsonpath='{{.data.api-key}}' | base64 -d"
        session.say(f"A new key was made. Once it is applied, it is shown by: {where}")
    options = ServerOptions(
        image or default_image(),
        log_level=(log_level or str(settings.get("PENSTOCK_LOGGING_SERVER_LEVEL"))).upper(),
        secret_name=secret or NAME,
        api_key=key,
        server_keys=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() if key else None,
        database_secret=_database(database),
        postgres_password=secrets.token_urlsafe(24) if with_postgres else None,
        **given,
    )
    _emit(session, server_objects(options), parts)


def _key(given: str | None, file: str | None, secret: str | None) -> tuple[str | None, str | None]:
    """The key, and the name of a Secret that has one; at most one of them."""
    if secret is not None:
        if file is not None:
            raise UsageProblem("--api-key-file and --api-key-secret exclude each other.")
        return None, secret
    if file is None:
        return given, None
    try:
        text = sys.stdin.read() if file == "-" else Path(file).expanduser().read_text()
    except OSError as error:
        raise UsageProblem(f"{file} cannot be read: {error.strerror}") from None
    if not text.strip():
        raise UsageProblem(f"{file} is empty; the key should be in it.")
    return text.strip(), None


def _database(text: str | None) -> tuple[str, str] | None:
    from penstock.infrastructure.kubernetes.installation.objects import DATABASE_URL
    from penstock.infrastructure.kubernetes.names import split_key

    if text is None:
        return None
    try:
        return split_key(text if "/" in text else f"{text}/{DATABASE_URL}", "--database-url-secret", "Secret")
    except ValueError as error:
        raise UsageProblem(str(error)) from None


def _warn_of_local_address(session: Session, api_url: str) -> None:
    from penstock.infrastructure.containers import local_host_in

    if local_host_in(api_url) is not None:
        session.warn(f"In a pod {api_url} means the pod itself. Give --api-url an address that reaches the server.")


def _emit(session: Session, objects: list[dict[str, Any]], parts: str) -> None:
    """The objects as one YAML stream, which is what kubectl reads; as one List in JSON; else as every command does."""
    from penstock.infrastructure.kubernetes.installation import to_yaml
    from penstock.infrastructure.kubernetes.installation.objects import without_secrets

    plain = without_secrets(objects)
    chosen = {"all": objects, "none": plain, "only": [item for item in objects if item not in plain]}[parts]
    if session.fields or session.output in {"table", "wide", "name", "jsonl"}:
        output.emit(session, chosen, _COLUMNS, lambda row: f"{row['kind'].lower()}/{row['metadata'].get('name', '')}")
    elif session.output == "json":
        whole = {"apiVersion": "v1", "kind": "List", "items": chosen}
        output.emit_one(session, whole, _COLUMNS, lambda row: str(row["kind"]))
    else:
        output.write(to_yaml(chosen))
