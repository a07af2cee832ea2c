"""The images of a release, with all tags of each: which versions stay put, and which names move on with a release.

    python images/tags.py 0.2.0 --sha 88a7ff17a3435ec33c95c0323b8f05d7b9f3f6d2 --released "$(git tag --list)"

The standard library is all it needs. docs/images.md explains the names.
"""

import argparse
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = "penstock/penstock"
#: The branch whose images are called dev; those of others are called dev-<branch>.
MAIN_BRANCH = "main"
CONDA = "conda"

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)((?:a|b|rc|\.dev|\.post)\d+)?")
_SHA = re.compile(r"[0-9a-f]{40}")
_TAG_LIMIT = 128


@dataclass(frozen=True, order=True)
class Version:
    """A release; `rest` is what makes it a pre-release, as in ``rc1``, or a later edition of itself, as in ``.post1``."""

    major: int
    minor: int
    patch: int
    rest: str = ""

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Raises ValueError if `text` is no version such as 2.1.1 or 2.2.0rc1, with or without a v before it."""
        found = _VERSION.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no version such as 2.1.1 or 2.2.0rc1")
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4] or "")

    @property
    def final(self) -> bool:
        return self.rest == "" or self.rest.startswith(".post")

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}{self.rest}"


@dataclass(frozen=True)
class Image:
    """One image to be built: for this Python, in this flavour ("" or conda), under all these tags."""

    python: str
    flavor: str
    tags: tuple[str, ...]

    @property
    def base(self) -> str:
        """What BASE_IMAGE of images/Dockerfile is."""
        return "continuumio/miniconda3" if self.flavor == CONDA else f"python:{self.python}-slim"


def release_images(
    version: str, sha: str, pythons: Sequence[str], conda_pythons: Sequence[str], released: Collection[str] = ()
) -> list[Image]:
    """The images of a release: one for each Python in each flavour.

    `released`: the versions that there are already. A pre-release moves no name; a release moves those of its line if
    it is the newest of it: a patch of an old line takes its ``2.1`` along and leaves ``2`` and ``2-latest`` alone.
    Raises ValueError for what is no version, and for a commit that is not named in full.
    """
    new = Version.parse(version)
    if not _SHA.fullmatch(sha):
        raise ValueError(f"{sha!r} is no full commit hash")
    others = [other for other in map(Version.parse, released) if other.final]
    line = [other for other in others if other.major == new.major]
    newest = new.final and all(new >= other for other in line)
    names = [str(new)]
    if new.final and all(new >= other for other in line if other.minor == new.minor):
        names.append(f"{new.major}.{new.minor}")
    if newest:
        names.append(str(new.major))
    names.append(f"sha-{sha}")
    latest = f"{new.major}-latest" if newest else ""
    return list(_images(names, pythons, conda_pythons, latest))


def development_images(branch: str, sha: str, pythons: Sequence[str], conda_pythons: Sequence[str]) -> list[Image]:
    """The images of a commit of `branch`: ``dev`` is the newest of the main one."""
    if not _SHA.fullmatch(sha):
        raise ValueError(f"{sha!r} is no full commit hash")
    name = "dev" if branch == MAIN_BRANCH else "dev-" + re.sub(r"[^A-Za-z0-9_.-]", "-", branch)
    return list(_images([name, f"sha-{sha}"], pythons, conda_pythons, latest=""))


def _images(names: list[str], pythons: Sequence[str], conda_pythons: Sequence[str], latest: str) -> Iterator[Image]:
    """`latest` goes to the highest Python that there are images of in each flavour."""
    in_both = [python for python in pythons if python in conda_pythons or not conda_pythons]
    highest = max(in_both, key=_numbers, default=None)
    for flavor, versions in (("", pythons), (CONDA, conda_pythons)):
        suffix = f"-{flavor}" if flavor else ""
        for python in versions:
            end = f"-python{python}{suffix}"
            tags = [name[: _TAG_LIMIT - len(end)] + end for name in names]
            if latest and python == highest:
                tags.append(latest + suffix)
            yield Image(python, flavor, tuple(tags))


def _numbers(python: str) -> tuple[int, ...]:
    return tuple(int(part) for part in python.split("."))


def _versions_in(text: str) -> list[str]:
    """The words that are versions: a repository has other tags as well."""
    return [word for word in text.split() if _VERSION.fullmatch(word)]


def supported_pythons(pyproject: str) -> list[str]:
    """The versions of Python that the text of a pyproject.toml says it supports."""
    classifiers = tomllib.loads(pyproject)["project"]["classifiers"]
    found = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in classifiers)
    return [match[1] for match in found if match]


def main(arguments: Sequence[str] | None = None) -> None:
    supported = supported_pythons((Path(__file__).parents[1] / "pyproject.toml").read_text())
    parser = argparse.ArgumentParser(description="Print the tags of a release's images.")
    parser.add_argument("version", nargs="?", help="the release; without it, the images of a branch")
    parser.add_argument("--branch", default=MAIN_BRANCH, help="the branch that images are built of")
    parser.add_argument("--sha", required=True, help="the full hash of the commit")
    parser.add_argument("--released", default="", help="the versions that there are, separated by spaces or lines")
    parser.add_argument("--python", default=" ".join(supported), help="for these versions of Python only")
    parser.add_argument("--conda", default=None, help="versions of Python with a conda flavour; the same by default")
    parser.add_argument("--output", choices=("lines", "json"), default="lines")
    given = parser.parse_args(arguments)
    pythons = given.python.split()
    conda = pythons if given.conda is None else given.conda.split()
    try:
        if given.version:
            images = release_images(given.version, given.sha, pythons, conda, _versions_in(given.released))
        else:
            images = development_images(given.branch, given.sha, pythons, conda)
    except ValueError as error:
        parser.error(str(error))
    if given.output == "json":
        print(json.dumps([{**asdict(image), "base": image.base} for image in images], indent=2))
    else:
        print("\n".join(f"{REPOSITORY}:{tag}" for image in images for tag in image.tags))


if __name__ == "__main__":
    main()
