"""Names of container images: the one that jobs use unless told otherwise, and what a name may look like. Pure."""

import re
import sys

from penstock.version import __version__

REPOSITORY = "penstock/penstock"
#: Where images keep the flows that were put into them.
FLOWS_IN_IMAGE = "/opt/penstock/flows"
#: What images start before the job's command.
ENTRYPOINT = "/opt/penstock/entrypoint.sh"

_TAG_LIMIT = 128
_DOMAIN = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])"
)
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:{_DOMAIN}(?::[0-9]+)?/)?{_PART}(?:/{_PART})*")
_TAG = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{_TAG_LIMIT - 1}}}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")


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
    return text


def _split_tag(name: str) -> tuple[str, str, str]:
    """Repository, colon and tag: a colon before a slash belongs to a port."""
    head, colon, tag = name.rpartition(":")
    return (name, "", "") if not colon or "/" in tag else (head, colon, tag)
