"""Names of container images: the one that jobs use unless told otherwise, and what a name may look like. Pure."""

import re
import sys
from typing import NamedTuple

from penstock.version import __version__

REPOSITORY = "penstock/penstock"
#: Where images keep the flows that were put into them.
FLOWS_IN_IMAGE = "/opt/penstock/flows"
#: What images start before the job's command.
ENTRYPOINT = "/opt/penstock/entrypoint.sh"

#: The registry of names that name none, as logins know it.
DEFAULT_REGISTRY = "docker.io"
_NAMES_OF_DEFAULT_REGISTRY = (DEFAULT_REGISTRY, "index.docker.io")

_TAG_LIMIT = 128
_NAME_LIMIT = 255
_DOMAIN = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])"
)
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:{_DOMAIN}(?::[0-9]+)?/)?{_PART}(?:/{_PART})*")
_TAG = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{_TAG_LIMIT - 1}}}")
_DIGEST = re.compile(
    r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}"
    r"|(?!sha(?:256|384|512):)[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
)


class Reference(NamedTuple):
    """What an image's name says; `tag` and `digest` are "" where it does not say them."""

    registry: str
    repository: str
    tag: str
    digest: str


def default_image(version: str = __version__, python: tuple[int, int] = sys.version_info[:2]) -> str:
    """The image with that Penstock and that Python; by default those that this code runs on."""
    release = "dev" if "+" in version else version
    tag = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{release}-python{python[0]}.{python[1]}")
    return f"{REPOSITORY}:{tag[:_TAG_LIMIT]}"


def check_image(text: str) -> str:
    """`text` if it names an image: ``[registry[:port]/]repository[:tag][@digest]``. Raises ValueError that says why not."""
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError(f"{text!r} names no image: {digest!r} is no digest such as sha256:0123….")
    repository, colon, tag = _split_tag(name)
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(
            f"{text!r} names no image: a tag has up to {_TAG_LIMIT} letters, digits, '_', '.' and '-', not {tag!r}."
        )
    if not _REPOSITORY.fullmatch(repository):
        small = repository.lower()
        hint = f" Repositories are lower case: {small!r}." if _REPOSITORY.fullmatch(small) else ""
        raise ValueError(f"{text!r} names no image: write [registry/]repository[:tag].{hint}")
    if len(repository) > _NAME_LIMIT:
        raise ValueError(f"{text!r} names no image: registry and repository have at most {_NAME_LIMIT} characters.")
    return text


def registry_of(reference: str) -> str:
    """The registry, with its port, that an image is fetched from: ``docker.io`` for names that name none.

    As engines read it: the part before the first slash is a registry only with a dot, a port or capitals in it, or if it is
    ``localhost``.
    """
    return split_reference(reference).registry


def split_reference(reference: str) -> "Reference":
    """The parts of `reference`, which is taken to be one. ``busybox`` is ``docker.io/library/busybox``."""
    name, _, digest = reference.partition("@")
    name, _, tag = _split_tag(name)
    first, slash, rest = name.partition("/")
    if not slash or not (any(sign in first for sign in ".:") or first == "localhost" or first != first.lower()):
        first, rest = DEFAULT_REGISTRY, name
    if first in _NAMES_OF_DEFAULT_REGISTRY:
        first = DEFAULT_REGISTRY
        rest = rest if "/" in rest else f"library/{rest}"
    return Reference(first, rest, tag, digest)


def _split_tag(name: str) -> tuple[str, str, str]:
    """Repository, colon and tag: a colon before a slash belongs to a port."""
    head, colon, tag = name.rpartition(":")
    return (name, "", "") if not colon or "/" in tag else (head, colon, tag)
