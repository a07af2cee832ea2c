"""Code that lies in a folder of one machine, and jobs that see nothing of it. Pure."""

from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.errors import Unsupported
from penstock.infrastructure.block import Infrastructure
from penstock.model.attempts import Claim
from penstock.model.base import JSONObject
from penstock.model.reasons import Reason

#: The storage that is a folder of the machine that it is used on.
_LOCAL_STORAGE = "local-file-system"
#: Fields that hold paths which are no mounts.
_NO_MOUNTS = {"env", "command", "entrypoint", "working_dir", "tmpfs", "devices"}
WAY_OUT = (
    "Let the code travel as a bundle (deployment build --code bundle), keep it in a storage that jobs can reach, put it "
    "into the image (--code image), or mount the folder at that path."
)


def has_image(infrastructure: Infrastructure) -> bool:
    """Whether its jobs run in an image, and see nothing of any machine but what is mounted."""
    return "image" in type(infrastructure).model_fields


def refuse_local_code(claim: Claim, infrastructure: Infrastructure) -> None:
    """Raise Unsupported if the claimed run's code lies in a folder that a job of `infrastructure` would look for in vain.

    A path without a storage may be one of the image: only what cannot be a path within a container is refused.
    """
    deployment = claim.deployment
    if deployment is None or not has_image(infrastructure):
        return
    storage = claim.storage
    if storage is not None and storage.slug == _LOCAL_STORAGE:
        folder = str(storage.data.get("basepath") or deployment.path or ".")
        if not holds_reference(folder) and not is_mounted(infrastructure, {}, folder):
            named = f"{storage.slug}/{storage.name}" if storage.name else storage.slug
            raise _refused(f"The storage {named} is the folder {folder} of a machine", infrastructure)
    elif deployment.storage_document_id is None and is_no_path_of_images(deployment.path):
        raise _refused(f"The code lies in the folder {deployment.path} of a machine", infrastructure)


def is_no_path_of_images(path: str | None) -> bool:
    """Whether `path` cannot be a folder within an image: it begins at a drive or at somebody's home."""
    return bool(path) and (str(path).startswith("~") or PureWindowsPath(str(path)).drive != "")


def is_mounted(infrastructure: Infrastructure, overrides: JSONObject, folder: str) -> bool:
    """Whether the infrastructure mentions a mount at `folder` or above it, in whichever words its platform has."""
    place = PurePosixPath(folder)
    held = infrastructure.model_dump(mode="json", exclude=_NO_MOUNTS)
    parts = (part for text in _texts((held, overrides)) for part in text.split(":"))
    return any(part.startswith("/") and part != "/" and place.is_relative_to(part) for part in parts)


def _refused(what: str, infrastructure: Infrastructure) -> Unsupported:
    slug = infrastructure.get_block_type_slug()
    return Unsupported(
        f"{what}, and a {slug} sees nothing of any machine.",
        code="code_out_of_reach",
        hint=WAY_OUT,
        reason=Reason.CONFIGURATION_INVALID,
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
