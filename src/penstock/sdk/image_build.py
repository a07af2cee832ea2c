"""An image of a user's own: a base, the packages of a requirements file, and perhaps flows; as a folder to build it in."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from penstock.errors import CodeError, ConfigurationError
from penstock.infrastructure.images import FLOWS_IN_IMAGE
from penstock.storage.bundle_ignore import rules_of
from penstock.storage.bundle_packing import Contents, survey

#: Where the requirements lie while they are installed.
_REQUIREMENTS_IN_IMAGE = "/opt/penstock/requirements"
#: The user of Penstock's images, as numbers.
_USER = "1000:0"
_INCLUDES = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s+|=)(?P<path>\S+)")
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s+|=)(?P<path>\S+)")
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_LOGIN = re.compile(r"https?://[^/@\s]+@")
#: How many files an error names.
_NAMED = 5


@dataclass(frozen=True)
class Requirements:
    """A requirements file; `files` is it and all that it names on this machine, relative to `folder`, it first.

    `warnings` are sentences about what will be in the image for everybody to read.
    """

    folder: Path
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImagePlan:
    """What goes into an image."""

    base: str
    requirements: Requirements | None = None
    flows: Path | None = None
    contents: Contents = field(default_factory=lambda: Contents(()))

    def dockerfile(self) -> str:
        """The Dockerfile, for a folder as `write` makes it."""
        lines = [f"FROM {self.base}"]
        if self.requirements is not None:
            name = f"{_REQUIREMENTS_IN_IMAGE}/{self.requirements.files[0]}"
            lines += [
                f"COPY --chown={_USER} requirements {_REQUIREMENTS_IN_IMAGE}",
                f"RUN cd {_REQUIREMENTS_IN_IMAGE} && umask 002 && python -m pip install --no-cache-dir --requirement {name}",
            ]
        lines += ["# an image without Penstock could run nothing", 'RUN python -c "import penstock.engine"']
        if self.flows is not None:
            lines.append(f"COPY --chown={_USER} flows {FLOWS_IN_IMAGE}")
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Fill the empty `folder` with the Dockerfile and all that it copies."""
        (folder / "Dockerfile").write_text(self.dockerfile())
        if self.requirements is not None:
            for name in self.requirements.files:
                _copy(self.requirements.folder / name, folder / "requirements" / name)
        if self.flows is not None:
            for entry in self.contents.entries:
                _copy(self.flows / entry.path, folder / "flows" / entry.path)


def plan_image(base: str, requirements: Path | None, flows: Path | None) -> ImagePlan:
    """What an image of these is made of. `flows` is a folder; what its ignore file names stays behind.

    Raises ConfigurationError for requirements that could not be installed in the image, CodeError for flows that
    cannot be read or that hold files with secrets.
    """
    read = None if requirements is None else read_requirements(requirements)
    if flows is None:
        return ImagePlan(base, read)
    flows = flows.resolve()
    contents = survey(flows, rules_of(flows))
    if contents.secrets:
        named = ", ".join(contents.secrets[:_NAMED])
        more = f" and {len(contents.secrets) - _NAMED} more" if len(contents.secrets) > _NAMED else ""
        raise CodeError(
            f"The image would hold files that usually hold secrets: {named}{more}.",
            code="image_secrets",
            hint="Name them in .penstockignore: whoever may fetch an image can read all of it. Secrets belong into blocks.",
        )
    return ImagePlan(base, read, flows, contents)


def read_requirements(file: Path) -> Requirements:
    """What a requirements file of pip names on this machine.

    Raises ConfigurationError with the line of what an image cannot have: folders, and files outside of the file's own folder.
    """
    folder = file.resolve().parent
    files: dict[str, None] = {}
    warnings: list[str] = []
    _read_into(folder, file.name, files, warnings)
    return Requirements(folder, tuple(files), tuple(warnings))


def _read_into(folder: Path, name: str, files: dict[str, None], warnings: list[str]) -> None:
    files[name] = None
    try:
        text = (folder / name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"The requirements in {folder / name} cannot be read: {reason}.") from None
    for number, line in _lines(text):
        place = f"{name}, line {number}"
        if _LOGIN.search(line):
            warnings.append(f"{place} has a login in it, which whoever may fetch the image can read.")
        if included := _INCLUDES.match(line):
            path = _within(folder, Path(name).parent / included["path"], place)
            if path not in files:
                _read_into(folder, path, files, warnings)
        elif local := _local_path(line):
            # pip takes paths from where it was started, which is the folder of the first file
            path = _within(folder, Path(local), place)
            if not path.endswith(_ARCHIVES):
                raise ConfigurationError(
                    f"{place}: {local} is a folder of this machine, which is not in the image.",
                    hint="Build a wheel of it (`python -m pip wheel --no-deps`), put that beside the requirements and name it there.",
                )
            files[path] = None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """What is said in each line, with its number: without comments, and with the lines that continue it."""
    begun, first = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        first = first if begun else number
        begun += re.sub(r"(^|\s)#.*$", "", raw).strip()
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        if begun:
            yield first, begun
        begun = ""
    if begun.strip():
        yield first, begun


def _local_path(line: str) -> str | None:
    """The file or folder of this machine that a line asks for, if it does."""
    if editable := _EDITABLE.match(line):
        return None if "://" in editable["path"] else editable["path"]
    named = line.partition("@")[2] if re.match(r"[\w.\[\],-]+\s*@", line) else line
    word = named.strip().partition(" ")[0].partition(";")[0]
    if word.startswith("file://"):
        return word.removeprefix("file://")
    if "://" in word or word.startswith("-"):
        return None
    return word if word.startswith((".", "/", "~")) or "/" in word or word.endswith(_ARCHIVES) else None


def _within(folder: Path, path: Path, place: str) -> str:
    """`path` relative to `folder`. Raises ConfigurationError if it leads out of it or is not there."""
    found = (folder / path).resolve()
    if not found.is_relative_to(folder):
        raise ConfigurationError(
            f"{place}: {path} is not in {folder}, and only what is there goes into the image.",
            hint="Put it beside the requirements file, or write a Dockerfile of your own: `--dry-run` prints one to begin with.",
        )
    if not found.exists():
        raise ConfigurationError(f"{place}: there is no {path} in {folder}.")
    return found.relative_to(folder).as_posix()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
