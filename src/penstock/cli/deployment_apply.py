"""`penstock deployment apply`: tell the server what deployment files say."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import exit_codes, output, serving
from penstock.cli.connection import Connection, connect
from penstock.cli.deployment_changes import CHANGE_COLUMNS, change_line, change_rows, kept_line, lines_of
from penstock.cli.deployment_files import Described, read_files
from penstock.cli.errors import UsageProblem, problem_of
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import NotFound, PenstockError

if TYPE_CHECKING:
    from penstock.model.applying import DeploymentApplied, DeploymentChange
    from penstock.sdk.deployments import Deployment

_COLUMNS = [
    Column("NAME", "full_name"),
    Column("QUEUE", "work_queue_name"),
    Column("CHANGES", "changes", show=lambda changes: str(len(changes))),
    Column("ID", "id"),
]
Row = dict[str, Any]


@command("apply")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True)
@click.option("--upload", is_flag=True, help="Copy the current folder into the deployment's storage first.")
@click.option("-l", "--limit", type=click.IntRange(min=0), help="Concurrency limit of the deployment's work queue.")
@click.option(
    "--diff", is_flag=True, help="Print what would change, and change nothing; exit code 7 if something would."
)
@click.option("--dry-run", is_flag=True, help="Check everything on the server, say what would be done, change nothing.")
@click.option("--force", is_flag=True, help="What the files say wins over what was changed elsewhere.")
@click.pass_context
def apply(
    ctx: click.Context, paths: tuple[str, ...], upload: bool, limit: int | None, diff: bool, dry_run: bool, force: bool
) -> None:
    """Create or change deployments as their files say; nothing is sent unless all files are right.

    FILE is a file, a pattern, a folder, or - for stdin. What a file does not say stays as it is, and so does what was
    changed elsewhere since the file last said the same.
    """
    from penstock.client.admin import read_health

    if (diff or dry_run) and upload:
        raise UsageProblem(f"--upload excludes {'--diff' if diff else '--dry-run'}, which changes nothing.")
    found = read_files(paths)
    for one in found:
        _check(one.deployment, upload)
    with connect() as connection:
        connection.send(read_health())
        if diff:
            ctx.exit(_print_diff(connection, found, limit, force))
        # one alone is checked by the very request that changes it
        tried = [_tried(one, force) for one in found] if dry_run or len(found) > 1 else []
        if dry_run:
            _tell_what_would_be(found, tried)
        else:
            _apply_all(connection, found, upload=upload, limit=limit, force=force)


def send(
    connection: Connection,
    deployment: "Deployment",
    *,
    upload: bool = False,
    limit: int | None = None,
    force: bool | Collection[str] = False,
) -> None:
    """Apply one deployment and tell what to do next. `force`: what it says wins, or what it says of these fields."""
    _check(deployment, upload)
    _print([_send(connection, deployment, upload=upload, limit=limit, force=force)])


def warn_if_not_run(deployment: "Deployment") -> None:
    """Say it now if runs of the deployment are bound to fail, because its infrastructure cannot be run."""
    from penstock.infrastructure.registry import why_no_driver

    obstacle = why_no_driver(deployment.infrastructure.get_block_type_slug())
    if obstacle is not None:
        current().warn(f"{obstacle} No agent of this version takes its runs.")


def _check(deployment: "Deployment", upload: bool) -> None:
    if upload and deployment.storage is None:
        raise UsageProblem(
            f"The deployment {deployment.name!r} has no storage to upload to.", hint="Build it with -sb TYPE/NAME."
        )


def _apply_all(
    connection: Connection, found: Sequence[Described], *, upload: bool, limit: int | None, force: bool
) -> None:
    done: list[Row] = []
    for one in found:
        try:
            done.append(_send(connection, one.deployment, upload=upload, limit=limit, force=force))
        except (PenstockError, OSError) as error:
            _print(done, many=len(found) > 1)
            raise _in_the_middle(error, found, len(done)) from error
    _print(done, many=len(found) > 1)


def _in_the_middle(error: PenstockError | OSError, found: Sequence[Described], done: int) -> Exception:
    """`error` of one of several files, which says besides which of them were applied."""
    if len(found) == 1:
        return error
    before = ", ".join(one.name for one in found[:done])
    after = ", ".join(one.name for one in found[done + 1 :])
    told = error if isinstance(error, PenstockError) else PenstockError(problem_of(error).message, code="file")
    told.message = (
        f"{found[done].source}: {told.message.removesuffix('.')}. "
        + (f"Applied before it: {before}." if before else "Nothing was applied.")
        + (f" Not applied either: {after}." if after else "")
    )
    return told


def _send(
    connection: Connection,
    deployment: "Deployment",
    *,
    upload: bool,
    limit: int | None,
    force: bool | Collection[str],
) -> Row:
    from penstock.sdk import deployment_apply

    warn_if_not_run(deployment)
    if upload:
        deployment.upload_to_storage()
    applied = deployment_apply.apply(deployment, force=force, work_queue_concurrency=limit)
    row = _row(deployment, applied)
    name = row["full_name"]
    verb = "Created" if applied.is_new else "Applied" if applied.changes else "Nothing to change in"
    lines = [f"{verb} the deployment {name!r}.", *([] if applied.is_new else lines_of(applied))]
    lines.append(f"  run it: penstock deployment run {name!r}")
    pool, queue = row.get("work_pool_name"), row.get("work_queue_name") or "default"
    if not serving.agents_of(connection, pool, queue):
        lines.append(f"  no agent serves its queue {queue!r} yet: {serving.start_command(pool, queue)}")
    current().say("\n".join(lines))
    return row


def _row(deployment: "Deployment", applied: "DeploymentApplied") -> Row:
    """A deployment as machines get it: itself, and what was done."""
    told = applied.model_dump(mode="json")
    name = f"{deployment.flow_name}/{deployment.name}"
    return {**told.pop("deployment"), "full_name": name, **told}


def _print(rows: Sequence[Row], *, many: bool = False) -> None:
    """Data where a form was asked for: one object for one deployment, a list for several."""
    session = current()
    if session.output is None and not session.fields:
        return
    if many or len(rows) != 1:
        output.emit(session, rows, _COLUMNS, _name)
    else:
        output.emit_one(session, rows[0], _COLUMNS, _name)


def _name(row: Any) -> str:
    return str(row["full_name"])


def _tried(one: Described, force: bool) -> "DeploymentApplied":
    """What applying would do. Raises what the server would refuse, with the file."""
    from penstock.sdk import deployment_apply

    try:
        return deployment_apply.apply(one.deployment, force=force, dry_run=True)
    except PenstockError as error:
        error.message = f"{one.source}: {error.message}"
        raise


def _tell_what_would_be(found: Sequence[Described], tried: "Sequence[DeploymentApplied]") -> None:
    session = current()
    for one, applied in zip(found, tried, strict=True):
        verb = "Would create" if applied.is_new else "Would change" if applied.changes else "Nothing to change in"
        session.say("\n".join([f"{verb} the deployment {one.name!r}.", *lines_of(applied)]))
    _print([_row(one.deployment, applied) for one, applied in zip(found, tried, strict=True)], many=len(found) > 1)


def _print_diff(connection: Connection, found: Sequence[Described], limit: int | None, force: bool) -> int:
    """Print exactly what applying would change. Returns the exit code."""
    session = current()
    tried = [(one, _tried(one, force)) for one in found]
    for _, applied in tried:
        applied.changes += _limit_change(connection, applied, limit)
    if session.format == "table" and not session.fields:
        for one, applied in tried:
            if applied.is_new or applied.changes:
                lines = [f"{one.name}{' (new)' if applied.is_new else ''}", *map(change_line, applied.changes), ""]
                output.write("\n".join(lines))
            for kept in applied.kept:
                session.say(f"{one.name}\n{kept_line(kept)}")
    else:
        rows = [row for one, applied in tried for row in change_rows(one.name, applied.changes)]
        output.emit(session, rows, CHANGE_COLUMNS, lambda row: str(row["deployment"]))
    differs = any(applied.is_new or applied.changes for _, applied in tried)
    return exit_codes.CHECK_FAILED if differs else exit_codes.OK


def _limit_change(connection: Connection, applied: "DeploymentApplied", limit: int | None) -> "list[DeploymentChange]":
    """What --limit changes in the deployment's work queue."""
    from penstock.client import work_queues
    from penstock.model.applying import ChangeKind, DeploymentChange

    if limit is None:
        return []
    name, pool = applied.deployment.work_queue_name or "default", applied.deployment.work_pool_name
    try:
        before = connection.send(work_queues.read_work_queue_by_name(name, pool)).concurrency_limit
    except NotFound:
        before = None
    if before == limit:
        return []
    field = f"work queue {name}: concurrency_limit"
    return [DeploymentChange(field=field, kind=ChangeKind.CHANGED, before=before, after=limit)]
