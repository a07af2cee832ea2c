"""`penstock image`: which image jobs use, and images of a user's own."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from penstock.cli import output
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import Group
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import PenstockError

#: The programs that can build, the preferred one first.
_PROGRAMS = ("docker", "podman")
#: Seconds within which an engine says that it is there.
_ANSWER_SECONDS = 30

_COLUMNS = [Column("IMAGE", "image"), Column("BASE", "base", wide=True), Column("PUSHED", "pushed", wide=True)]
_PYTHON = re.compile(r"3\.\d{1,2}")


class _Image(Group):
    """Without a verb it answers what is asked most: the image of jobs that name none."""

    def invoke(self, ctx: click.Context) -> Any:
        if not ctx._protected_args and not ctx.args:
            from penstock.infrastructure.images import default_image

            output.write(f"{default_image()}\n")
            return None
        return super().invoke(ctx)


@click.group("image", cls=_Image)
def command() -> None:
    """Print the image that jobs use, and build images with your packages and flows.

    Without a verb: the image of jobs whose infrastructure names none, which has this version of Penstock and of Python.
    """


@command.command("default")
@click.option("--python", metavar="X.Y", help="With this version of Python; by default the one that runs here.")
def default(python: str | None) -> None:
    """Print the image of jobs whose infrastructure names none."""
    session, row = current(), {"image": _base(None, python)}
    if session.output is None and not session.fields:
        output.write(f"{row['image']}\n")
    else:
        output.emit_one(session, row, _COLUMNS[:1], _name)


@command.command("build")
@click.option(
    "-r",
    "--requirements",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Install the packages of this requirements file.",
)
@click.option("-t", "--tag", metavar="NAME[:TAG]", help="Name of the image.")
@click.option("--base", metavar="IMAGE", help="Image to build on; by default Penstock's own, of this version.")
@click.option("--python", metavar="X.Y", help="Build on Penstock's image with this version of Python.")
@click.option(
    "--flows",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Copy this folder to /opt/penstock/flows, without what its .penstockignore names.",
)
@click.option(
    "--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Build for this platform; may be repeated."
)
@click.option("--push", is_flag=True, help="Push the image to its registry when it is built.")
@click.option(
    "--program", type=click.Choice(_PROGRAMS), help="Program that builds; by default the first that is found."
)
@click.option("--dry-run", is_flag=True, help="Print the Dockerfile; build nothing.")
def build(
    requirements: Path | None,
    tag: str | None,
    base: str | None,
    python: str | None,
    flows: Path | None,
    platforms: tuple[str, ...],
    push: bool,
    program: str | None,
    dry_run: bool,
) -> None:
    """Build an image with packages and flows of yours, with docker or podman.

    Example: penstock image build -r requirements.txt --flows . -t registry.example.com/team/flows:1 --push
    """
    from penstock.sdk.image_build import plan_image

    if requirements is None and flows is None:
        raise UsageProblem("There is nothing to put into the image.", hint="Give -r FILE, --flows DIR, or both.")
    plan = plan_image(_base(base, python), requirements, flows)
    for warning in plan.requirements.warnings if plan.requirements else ():
        current().warn(warning)
    if dry_run:
        output.write(plan.dockerfile())
        return
    name = _checked_tag(tag)
    found = _find_program(program)
    _meet_engine(found)
    with tempfile.TemporaryDirectory(prefix="penstock-image-") as folder:
        plan.write(Path(folder))
        options = ["--platform", ",".join(platforms)] if platforms else []
        _run([found, "build", "--tag", name, *options, folder], f"The image {name} was not built")
    if push:
        _run([found, "push", name], f"The image {name} was built and not pushed")
    row = {"image": name, "base": plan.base, "pushed": push}
    output.done(current(), f"Built {name}{' and pushed it' if push else ''}.", row, _COLUMNS, _name)


def _name(row: output.Row) -> str:
    return str(row["image"])


def _base(base: str | None, python: str | None) -> str:
    """The image to build on. Raises UsageProblem for what names none."""
    from penstock.infrastructure.images import check_image, default_image

    if base is not None and python is not None:
        raise UsageProblem("--base and --python exclude each other: a base has its Python already.")
    if base is not None:
        try:
            return check_image(base)
        except ValueError as error:
            raise UsageProblem(f"--base: {error}") from None
    if python is None:
        return default_image()
    if not _PYTHON.fullmatch(python):
        raise UsageProblem(f"--python: {python!r} is no version such as 3.12.")
    major, _, minor = python.partition(".")
    return default_image(python=(int(major), int(minor)))


def _checked_tag(tag: str | None) -> str:
    from penstock.infrastructure.images import check_image

    if tag is None:
        raise UsageProblem("The image has no name.", hint="Give -t NAME:TAG, or --dry-run to print the Dockerfile.")
    try:
        check_image(tag)
    except ValueError as error:
        raise UsageProblem(f"--tag: {error}") from None
    if "@" in tag:
        raise UsageProblem(f"--tag: {tag!r} has a digest, which is what comes of building.")
    return tag


def _find_program(wanted: str | None) -> str:
    """The path of the program that builds. Raises PenstockError if there is none."""
    names = (wanted,) if wanted else _PROGRAMS
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise PenstockError(
            f"There is no {' and no '.join(names)} on PATH, and that is what builds images.",
            code="no_builder",
            hint="Install one of them, or take the Dockerfile that --dry-run prints to where one is.",
        )
    return found


def _meet_engine(program: str) -> None:
    """Raises PenstockError if the program has nothing that builds for it."""
    try:
        asked = subprocess.run(
            [program, "version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired:
        reason = f"it said nothing for {_ANSWER_SECONDS} seconds"
    else:
        if asked.returncode == 0:
            return
        reason = (asked.stderr.strip() or asked.stdout.strip() or f"exit code {asked.returncode}").splitlines()[-1]
    raise PenstockError(
        f"{Path(program).name} reaches no engine: {reason}",
        code="no_engine",
        hint="Start the engine, or name another one with DOCKER_HOST or `docker context use`.",
    )


def _run(command: Sequence[str], what: str) -> None:
    """Run a program with its words on our standard error. Raises PenstockError with `what` if it fails."""
    sys.stderr.flush()
    code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), env=os.environ).returncode
    if code != 0:
        raise PenstockError(
            f"{what}: `{Path(command[0]).name} {command[1]}` ended with exit code {code}.",
            code="image_build",
            hint="What it said is above.",
        )
