"""`penstock deployment build`: from a flow in a file to a deployment file."""

from pathlib import Path
from typing import Any

import click

from penstock.cli import assignments, entrypoints
from penstock.cli.connection import connect
from penstock.cli.deployment_apply import send, warn_if_not_run
from penstock.cli.errors import CheckFailed, UsageProblem
from penstock.cli.grammar import command
from penstock.cli.infrastructure_options import new_infrastructure, read_overrides
from penstock.cli.schedules import CATCHUP, schedule_of
from penstock.cli.session import Session, current
from penstock.errors import Unreachable

_EXCLUSIVE = (
    ("infra", "infra_block"),
    ("param", "params"),
    ("no_schedule", "cron"),
    ("no_schedule", "interval"),
    ("no_schedule", "rrule"),
)
#: Fields that are added to what the file says of them, when they come from these options.
_ADDING = {"parameters": "param", "infra_overrides": "overrides", "infrastructure": "infra"}


@command("build")
@click.argument("entrypoint", metavar="FILE.py:FLOW")
@click.option("-n", "--name", metavar="NAME", help="Name of the deployment.")
@click.option("-d", "--description", metavar="TEXT", help="What it does; by default the flow's own description.")
@click.option("-v", "--version", metavar="VERSION", help="Version; by default a hash of the flow's file.")
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="Tag of its runs; repeat it for more.")
@click.option("-q", "--work-queue", "queue", metavar="QUEUE", help="Work queue of its runs.  [default: default]")
@click.option("-p", "--pool", metavar="POOL", help="Work pool of the queue.")
@click.option("-l", "--limit", type=click.IntRange(min=0), help="Concurrency limit of the work queue.")
@click.option("--concurrency-limit", type=click.IntRange(min=0), help="Most runs of the deployment at once.")
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
@click.option(
    "--code",
    type=click.Choice(["local", "bundle", "image"]),
    help="Where the code lies without a storage block: where it is now, in a bundle that travels by itself, or in the "
    "image.  [default: bundle for infrastructure with an image, else local]",
)
@click.option("--include-secret-files", is_flag=True, help="Bundle files, too, that usually hold secrets.")
@click.option("--skip-upload", is_flag=True, help="Do not upload the code.")
@click.option("--cron", metavar="EXPRESSION", help="Run by this cron expression.")
@click.option("--interval", type=click.FloatRange(min=0, min_open=True), help="Run every so many seconds.")
@click.option("--anchor-date", metavar="TIME", help="From when --interval counts.")
@click.option("--rrule", metavar="RULE", help="Run by this recurrence rule (RFC 5545).")
@click.option("--timezone", metavar="ZONE", help="Time zone of the schedule, e.g. Europe/Berlin.")
@CATCHUP
@click.option("--no-schedule", is_flag=True, help="Remove the schedule that the deployment has.")
@click.option("--path", metavar="PATH", help="Folder in the storage, or on the machine where the code lies.")
@click.option(
    "--param", multiple=True, metavar="KEY=VALUE", help="Default of one parameter; the value is JSON or text."
)
@click.option("--params", metavar="JSON", help="Defaults of parameters as a JSON object; - reads it from stdin.")
@click.option(
    "--enforce-parameter-schema/--no-enforce-parameter-schema",
    "enforce",
    default=None,
    help="Whether runs whose parameters do not fit the flow's are refused.",
)
@click.option("-o", "--output", "output_file", metavar="FILE", help="File to write.  [default: FLOW-deployment.yaml]")
@click.option("--no-check", is_flag=True, help="Do not try whether the code can be loaded as runs will load it.")
@click.option("-a", "--apply", "apply_now", is_flag=True, help="Tell the server at once.")
def build(entrypoint: str, **options: Any) -> None:
    """Write the deployment file of a flow, and apply it with -a.

    What is not said is taken from the file, if it is that deployment's, else from the server's deployment of the same
    name. Comments and changes of yours in the upper part of the file stay.
    """
    session = current()
    _check_options(options)
    entrypoint = entrypoints.portable(entrypoint)
    target = _target(entrypoint, options["output_file"])
    fields = _given_fields(options)
    flow = entrypoints.load_flow(entrypoint)
    session.say(f"Found the flow {flow.name!r}.")
    _add_blocks(fields, options)
    deployment = _planned(session, flow, {**fields, "entrypoint": entrypoint}, options, target)
    given = assignments.texts(options["overrides"], "--override")
    if given := {key: text for key, text in given.items() if deployment.infra_overrides.get(key) == text}:
        deployment.infra_overrides |= read_overrides(deployment.infrastructure, given)
    _tell_bundle(session, deployment)
    if not options["skip_upload"]:
        _upload(session, deployment)
    if not options["no_check"]:
        _check_code(session, deployment)
    _write(session, deployment, target)
    if options["apply_now"]:
        with connect() as connection:
            # what is said here is meant now, whatever somebody has changed elsewhere
            send(connection, deployment, limit=options["limit"], force=fields)
    else:
        warn_if_not_run(deployment)
        session.say(f"  apply it: penstock deployment apply {target}")
        if options["limit"] is not None:
            session.warn("--limit changes the work queue when the deployment is applied: add -a, or give it to apply.")


def _check_options(options: dict[str, Any]) -> None:
    if not options["name"]:
        raise UsageProblem("The deployment needs a name.", hint="Give it one with -n NAME.")
    for one, other in _EXCLUSIVE:
        if options[one] and options[other]:
            raise UsageProblem(f"--{one.replace('_', '-')} and --{other.replace('_', '-')} exclude each other.")


def _target(entrypoint: str, output_file: str | None) -> Path:
    if output_file is None:
        return Path(f"{entrypoint.rpartition(':')[2].rpartition('.')[2]}-deployment.yaml")
    path = Path(output_file)
    if path.suffix not in {"", ".yaml", ".yml"}:
        raise UsageProblem(f"The deployment file {output_file!r} is YAML.", hint="Call it something.yaml.")
    return path if path.suffix else path.with_suffix(".yaml")


def _given_fields(options: dict[str, Any]) -> dict[str, Any]:
    """Those fields of the deployment that were said on the command line, but for blocks."""
    parameters = None
    if options["param"] or options["params"]:
        parameters = assignments.json_object(options["params"], "--params")
        parameters |= assignments.values(options["param"], "--param")
    given = {
        "description": options["description"],
        "version": options["version"],
        "work_queue_name": options["queue"],
        "work_pool_name": options["pool"],
        "concurrency_limit": options["concurrency_limit"],
        "path": options["path"],
        "tags": list(options["tags"]) or None,
        "parameters": parameters,
        "enforce_parameter_schema": options["enforce"],
        "infra_overrides": assignments.texts(options["overrides"], "--override") or None,
    }
    found = {key: value for key, value in given.items() if value is not None}
    schedule = schedule_of(**{key: options[key] for key in ("cron", "interval", "rrule", "anchor_date", "timezone")})
    if schedule is not None or options["no_schedule"]:
        found |= {"schedule": schedule, "schedules": None}
    if options["catchup"]:
        found |= {"schedule": None, "schedules": [_with_policy(schedule, options["catchup"])]}
    return found


def _with_policy(schedule: Any, policy: str) -> Any:
    from penstock.model.deployments import DeploymentScheduleCreate

    if schedule is None:
        raise UsageProblem("--catchup belongs to a schedule, and there is none.", hint="Add --cron or --interval.")
    return DeploymentScheduleCreate(schedule=schedule, catchup_policy=policy)


def _add_blocks(fields: dict[str, Any], options: dict[str, Any]) -> None:
    from penstock.sdk import block_data

    if options["infra"]:
        fields["infrastructure"], rest = new_infrastructure(options["infra"], fields.pop("infra_overrides", {}))
        if rest:
            fields["infra_overrides"] = rest
    if options["infra_block"]:
        fields["infrastructure"] = block_data.saved(options["infra_block"], "-ib")
    if options["storage_block"]:
        fields["storage"], below = block_data.saved_storage(options["storage_block"], "-sb")
        if below and "path" in fields:
            raise UsageProblem("The path of -sb TYPE/NAME/PATH and --path exclude each other.")
        fields.setdefault("path", below)


def _planned(session: Session, flow: Any, fields: dict[str, Any], options: dict[str, Any], target: Path) -> Any:
    from penstock.client.admin import read_health
    from penstock.sdk.deployments import Deployment

    known = True
    try:
        with connect() as connection:
            connection.send(read_health())
    except Unreachable as error:
        session.warn(f"{error.message}. The deployment is built without what the server may know of it.")
        known = False
    return Deployment.planned(
        flow,
        options["name"],
        fields,
        file=target,
        load_existing=known,
        code=options["code"],
        include_secret_files=options["include_secret_files"],
        adding=[field for field, option in _ADDING.items() if options[option] and field in fields],
    )


def _tell_bundle(session: Session, deployment: Any) -> None:
    packed = deployment.packed
    if packed is None:
        return
    session.say(packed.manifest())
    warning = packed.warning()
    if warning is not None:
        session.warn(warning)


def _upload(session: Session, deployment: Any) -> None:
    from penstock.sdk import deployment_upload

    if deployment.storage is None or deployment.packed is not None:
        return  # a bundle is sent when it is applied
    if not deployment_upload.takes_uploads(deployment):
        session.say("The storage takes no uploads; the code has to be there already.")
        return
    deployment_upload.refuse_code_elsewhere(deployment)
    ignore = deployment_upload.write_ignore_file()
    if ignore is not None:
        session.say(f"Wrote {ignore}, which says what is not uploaded.")
    count = deployment_upload.upload(deployment)
    session.say(f"Uploaded {count} files to {deployment.location}.")


def _check_code(session: Session, deployment: Any) -> None:
    """Raise CheckFailed if a run would not find its code."""
    from penstock.sdk.deployment_check import check_code

    for finding in check_code(deployment):
        if not finding.ok:
            skip = "--no-check builds it all the same."
            raise CheckFailed(
                f"Runs would not find their code. Tried: {finding.tried}. It said: {finding.said}",
                hint=f"{finding.fix} {skip}" if finding.fix else skip,
            )
        session.say(f"Checked {finding.tried}: {finding.said}.")


def _write(session: Session, deployment: Any, target: Path) -> None:
    from penstock.sdk import deployment_rebuild

    there = target.exists() and target.stat().st_size > 0
    other = there and deployment_rebuild.file_of(target, deployment) is None
    deployment.to_yaml(target)
    session.say(f"Wrote {target}.")
    if other:
        session.warn(
            f"{target} was the file of another deployment, which is not in it any more. -o names another file."
        )
