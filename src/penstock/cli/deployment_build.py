"""`penstock deployment build`: from a flow in a file to a deployment file."""

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from penstock.cli import assignments
from penstock.cli.connection import connect
from penstock.cli.deployment_apply import send, warn_if_not_run
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command
from penstock.cli.schedules import schedule_of
from penstock.cli.session import Session, current
from penstock.errors import ConfigurationError, Unreachable

_DEFAULT_IGNORED = (
    "__pycache__/", "*.py[cod]", "*.egg-info/", ".git/", ".hg/", ".venv", "venv/", "env/", ".env", ".python-version",
    ".mypy_cache/", ".ruff_cache/", ".pytest_cache/", ".idea/", ".vscode/", ".ipynb_checkpoints/", ".DS_Store",
)  # fmt: skip
IGNORE_FILE = ".penstockignore"


@command("build")
@click.argument("entrypoint", metavar="FILE.py:FLOW")
@click.option("-n", "--name", metavar="NAME", help="Name of the deployment.")
@click.option("-d", "--description", metavar="TEXT", help="What it does; by default the flow's own description.")
@click.option("-v", "--version", metavar="VERSION", help="Version; by default a hash of the flow's file.")
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="Tag of its runs; repeat it for more.")
@click.option("-q", "--work-queue", "queue", metavar="QUEUE", help="Work queue of its runs.  [default: default]")
@click.option("-p", "--pool", metavar="POOL", help="Work pool of the queue.")
@click.option("-l", "--limit", type=click.IntRange(min=0), help="Concurrency limit of the work queue.")
@click.option("-i", "--infra", metavar="TYPE", help="Type of infrastructure, e.g. process.  [default: process]")
@click.option("-ib", "--infra-block", metavar="TYPE/NAME", help="Saved infrastructure block, instead of -i.")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting of the infrastructure, e.g. env.LEVEL=debug.",
)
@click.option(
    "-sb", "--storage-block", metavar="TYPE/NAME[/PATH]", help="Saved storage block that the code is uploaded to."
)
@click.option("--skip-upload", is_flag=True, help="Do not upload the code.")
@click.option("--cron", metavar="EXPRESSION", help="Run by this cron expression.")
@click.option("--interval", type=click.FloatRange(min=0, min_open=True), help="Run every so many seconds.")
@click.option("--anchor-date", metavar="TIME", help="From when --interval counts.")
@click.option("--rrule", metavar="RULE", help="Run by this recurrence rule (RFC 5545).")
@click.option("--timezone", metavar="ZONE", help="Time zone of the schedule, e.g. Europe/Berlin.")
@click.option("--no-schedule", is_flag=True, help="Remove the schedule that the deployment has on the server.")
@click.option("--path", metavar="PATH", help="Folder in the storage, or on the machine where the code lies.")
@click.option(
    "--param",
    "params_",
    multiple=True,
    metavar="KEY=VALUE",
    help="Default of one parameter; the value is JSON or text.",
)
@click.option("--params", metavar="JSON", help="Defaults of parameters as a JSON object; - reads it from stdin.")
@click.option("-o", "--output", "output_file", metavar="FILE", help="File to write.  [default: FLOW-deployment.yaml]")
@click.option("-a", "--apply", "apply_now", is_flag=True, help="Tell the server at once.")
def build(entrypoint: str, **options: Any) -> None:
    """Write the deployment file of a flow, and apply it with -a.

    What is not said is taken from the server's deployment of the same name, if there is one.
    """
    session = current()
    _check_options(options)
    target = _target(entrypoint, options["output_file"])
    schedule = schedule_of(**{key: options[key] for key in ("cron", "interval", "rrule", "anchor_date", "timezone")})
    fields = _given_fields(options)
    if schedule is not None or options["no_schedule"]:
        fields["schedule"] = schedule
    if options["params_"] or options["params"]:
        fields["parameters"] = {
            **assignments.json_object(options["params"], "--params"),
            **assignments.values(options["params_"], "--param"),
        }
    flow = load_flow(entrypoint)
    session.say(f"Found the flow {flow.name!r}.")
    _add_blocks(fields, options)
    deployment = _built(session, flow, {**fields, "entrypoint": _portable(entrypoint)}, options["name"])
    _upload(session, deployment, options["skip_upload"])
    deployment.to_yaml(target)
    session.say(f"Wrote {target}.")
    if options["apply_now"]:
        with connect() as connection:
            send(connection, deployment, limit=options["limit"])
    else:
        warn_if_not_run(deployment)
        session.say(f"  apply it: penstock deployment apply {target}")
        if options["limit"] is not None:
            session.warn("--limit changes the work queue when the deployment is applied: add -a, or give it to apply.")


def load_flow(entrypoint: str) -> Any:
    """The flow at ``file.py:name``. What its module prints goes to stderr, being no data of ours. Raises CodeError."""
    from penstock.engine.code import load_flow_from_entrypoint

    sys.path.insert(0, str(Path.cwd()))
    with contextlib.redirect_stdout(sys.stderr):
        return load_flow_from_entrypoint(entrypoint)


def _check_options(options: dict[str, Any]) -> None:
    if not options["name"]:
        raise UsageProblem("The deployment needs a name.", hint="Give it one with -n NAME.")
    for one, other in (("infra", "infra_block"),):
        if options[one] and options[other]:
            raise UsageProblem(f"--{one.replace('_', '-')} and --{other.replace('_', '-')} exclude each other.")
    if options["params_"] and options["params"]:
        raise UsageProblem("--param and --params exclude each other.")
    if options["no_schedule"] and any(options[key] for key in ("cron", "interval", "rrule")):
        raise UsageProblem("--no-schedule excludes --cron, --interval and --rrule.")


def _target(entrypoint: str, output_file: str | None) -> Path:
    if output_file is None:
        return Path(f"{entrypoint.rpartition(':')[2].rpartition('.')[2]}-deployment.yaml")
    path = Path(output_file)
    if path.suffix not in {"", ".yaml", ".yml"}:
        raise UsageProblem(f"The deployment file {output_file!r} is YAML.", hint="Call it something.yaml.")
    return path if path.suffix else path.with_suffix(".yaml")


def _given_fields(options: dict[str, Any]) -> dict[str, Any]:
    """Those fields of the deployment that were said on the command line."""
    given = {
        "description": options["description"],
        "version": options["version"],
        "work_queue_name": options["queue"],
        "work_pool_name": options["pool"],
        "path": options["path"],
        "tags": list(options["tags"]) or None,
        "infra_overrides": assignments.texts(options["overrides"], "--override") or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _add_blocks(fields: dict[str, Any], options: dict[str, Any]) -> None:
    from penstock.blocks.base import Block

    if options["infra"]:
        fields["infrastructure"], rest = new_infrastructure(options["infra"], fields.pop("infra_overrides", {}))
        if rest:
            fields["infra_overrides"] = rest
    if options["infra_block"]:
        fields["infrastructure"] = _saved(options["infra_block"], "-ib")
    if options["storage_block"]:
        slug, _, rest = options["storage_block"].partition("/")
        name, _, below = rest.partition("/")
        fields["storage"] = _saved(f"{slug}/{name}", "-sb")
        assert isinstance(fields["storage"], Block)
        if below and "path" in fields:
            raise UsageProblem("The path of -sb TYPE/NAME/PATH and --path exclude each other.")
        fields.setdefault("path", below or None)


def new_infrastructure(word: str, overrides: dict[str, str]) -> tuple[Any, dict[str, str]]:
    """A new infrastructure block of the type that `word` means, and the overrides that are left.

    Fields that such a block cannot be without are taken out of the overrides. Raises UsageProblem with the nearest type,
    or that says which field is missing; ConfigurationError about a value.
    """
    from penstock.infrastructure.registry import slug_of
    from penstock.sdk import block_data

    try:
        slug = slug_of(word)
    except ConfigurationError as error:
        raise UsageProblem(error.message, hint=error.hint) from None
    needed, secret = required_fields(slug)
    missing = [name for name in needed if name not in overrides]
    if secret:
        raise UsageProblem(
            f"{slug} needs {' and '.join(sorted({*missing, *secret}))}, and what is secret belongs into a block.",
            hint=f"Save one (penstock block create {slug}), then build with -ib {slug}/NAME.",
        )
    if missing:
        given = " ".join(f"--override {name}=…" for name in missing)
        raise UsageProblem(
            f"{slug} needs {' and '.join(missing)}.", hint=f"Add {given}, or use a saved block with -ib."
        )
    values = {name: overrides[name] for name in needed}
    rest = {name: value for name, value in overrides.items() if name not in values}
    return block_data.read(slug, values, "--override"), rest


def required_fields(slug: str) -> tuple[list[str], list[str]]:
    """The fields that a block of that type cannot be without, and those of them that are secret."""
    from penstock.blocks.registry import find_block
    from penstock.blocks.schema import block_schema

    fields = block_schema(find_block(slug))
    needed = list(fields.get("required", []))
    return needed, [name for name in needed if name in fields["secret_fields"]]


def _saved(reference: str, flag: str) -> Any:
    from penstock.blocks.base import Block

    slug, slash, name = reference.partition("/")
    if not (slug and slash and name):
        raise UsageProblem(f"{flag} {reference!r} does not name a block.", hint=f"Write {flag} TYPE/NAME.")
    return Block.load(reference)


def _built(session: Session, flow: Any, fields: dict[str, Any], name: str) -> Any:
    from penstock.client.admin import read_health
    from penstock.sdk.deployments import Deployment

    known = True
    try:
        with connect() as connection:
            connection.send(read_health())
    except Unreachable as error:
        session.warn(f"{error.message}. The deployment is built without what the server may know of it.")
        known = False
    return Deployment.build_from_flow(flow, name, skip_upload=True, load_existing=known, **fields)


def _portable(entrypoint: str) -> str:
    """The entrypoint as it is kept: relative to the current folder where the file lies below it."""
    path, _, name = entrypoint.rpartition(":")
    if not (path.endswith(".py") or "/" in path):
        return entrypoint
    file = Path(path).expanduser().resolve()
    if file.is_relative_to(Path.cwd()):
        file = file.relative_to(Path.cwd())
    return f"{file.as_posix()}:{name}"


def _upload(session: Session, deployment: Any, skip: bool) -> None:
    if skip or deployment.storage is None:
        return
    ignore = Path(IGNORE_FILE)
    if not ignore.exists():
        ignore.write_text("".join(f"{pattern}\n" for pattern in _DEFAULT_IGNORED))
        session.say(f"Wrote {IGNORE_FILE}, which says what is not uploaded.")
    count = deployment.upload_to_storage(ignore_file=str(ignore))
    if count is None:
        session.say("The storage takes no uploads; the code has to be there already.")
    else:
        session.say(f"Uploaded {count} files to {deployment.location}.")
