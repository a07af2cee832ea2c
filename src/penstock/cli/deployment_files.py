"""Deployment files as they are named on the command line: files, patterns, folders, - for stdin."""

import glob
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli.errors import UsageProblem
from penstock.cli.session import current

if TYPE_CHECKING:
    from penstock.sdk.deployments import Deployment

#: What every deployment file says, and hardly another YAML file does.
_OF_A_DEPLOYMENT = re.compile(r"""^["']?flow_name["']?[ \t]*:""", re.MULTILINE)
STDIN = "-"


@dataclass(frozen=True)
class Described:
    """A deployment and the file that describes it."""

    source: str
    deployment: "Deployment"

    @property
    def name(self) -> str:
        """``flow/deployment``."""
        return f"{self.deployment.flow_name}/{self.deployment.name}"


def read_files(words: Iterable[str]) -> list[Described]:
    """The deployments of all files that `words` name, each file once.

    Of a folder those that describe a deployment; the others are told. Raises ConfigurationError and ParameterError with
    the line of what is wrong, UsageProblem if two files describe one deployment or a folder holds none.
    """
    from penstock.sdk.deployments import Deployment

    found: list[Described] = []
    for source in dict.fromkeys(_sources(words)):
        if source == STDIN:
            deployment = Deployment.load_from_text(sys.stdin.read(), "stdin")
        else:
            deployment = Deployment.load_from_yaml(source)
        found.append(Described(source, deployment))
    _refuse_twins(found)
    return found


def _sources(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if word == STDIN:
            yield word
        elif Path(word).is_dir():
            yield from _in_folder(Path(word))
        elif Path(word).exists():
            yield word
        else:
            for path in sorted(glob.glob(word, recursive=True)) or [word]:
                yield from _in_folder(Path(path)) if Path(path).is_dir() else [path]


def _in_folder(folder: Path) -> list[str]:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
    chosen = [path for path in files if _OF_A_DEPLOYMENT.search(path.read_text(errors="replace"))]
    if not chosen:
        raise UsageProblem(
            f"The folder {str(folder)!r} holds no deployment file.", hint="Write one with penstock deployment build."
        )
    left = [path.name for path in files if path not in chosen]
    if left:
        current().say(f"Left alone, being no deployment files: {', '.join(left)}.")
    return [str(path) for path in chosen]


def _refuse_twins(found: Iterable[Described]) -> None:
    seen: dict[str, str] = {}
    for one in found:
        if one.name in seen:
            raise UsageProblem(
                f"Both {seen[one.name]} and {one.source} describe the deployment {one.name!r}.",
                hint="Apply one of them, or give one another name.",
            )
        seen[one.name] = one.source
