"""Where a deployment's code lies: on this machine, in a storage, in a bundle that travels by itself, or in the image.

A storage block that is named wins. Without one, a local process runs the code where it lies, so that an edit is seen by the
next run; infrastructure with an image, which sees nothing of this machine, gets a bundle.
"""

import tempfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, Protocol

from penstock.blocks.base import Block
from penstock.blocks.extras import holds_reference
from penstock.errors import CodeError, ConfigurationError, did_you_mean
from penstock.infrastructure import local_code
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.images import FLOWS_IN_IMAGE
from penstock.model.base import JSONObject
from penstock.sdk import block_data
from penstock.sdk.deployment_fields import DeploymentFields
from penstock.storage import bundle
from penstock.storage.bundle import Bundle, Packed
from penstock.storage.local import LocalFileSystem

if TYPE_CHECKING:
    from penstock.client.sync import SyncClient

Code = Literal["local", "bundle", "image"]
#: What `--code` and `code=` may say; a storage block is the fourth way.
CODES: tuple[Code, ...] = ("local", "bundle", "image")


class Located(Protocol):
    """What is asked of a deployment to know where its code lies; `penstock.sdk.deployments.Deployment` is one."""

    infrastructure: Infrastructure
    infra_overrides: JSONObject
    storage: Block | None
    path: str | None


def place(
    deployment: DeploymentFields,
    said: Collection[str],
    code: str | None = None,
    *,
    ignore_file: str | None = None,
    include_secret_files: bool = False,
) -> Packed | None:
    """Decide where the code lies, and set `storage` and `path` to it. Returns the bundle if one was made.

    `said`: the fields that whoever builds has given; all others are kept from before. A bundle is made of the current folder,
    without what `ignore_file` names, and is kept on this machine until the deployment is applied.
    Raises ConfigurationError where the runs could not find the code there, and CodeError as `bundle.pack_project`.
    """
    chosen = _chosen(deployment, said, code)
    if chosen is None:
        refuse_out_of_reach(deployment)
        return None
    path = deployment.path if "path" in said else None
    if chosen == "bundle":
        packed = bundle.pack_project(
            Path.cwd(),
            ignore_file=Path(ignore_file) if ignore_file else None,
            include_secret_files=include_secret_files,
        )
        _check_entrypoint(deployment.entrypoint, packed)
        deployment.change({"storage": packed.bundle, "path": None})
        return packed
    deployment.change({"storage": None, "path": path or (FLOWS_IN_IMAGE if chosen == "image" else str(Path.cwd()))})
    return None


def deliver(client: "SyncClient", storage: Block | None) -> bool:
    """Before a deployment is applied: make sure that the server has its bundle, if it has one. Whether it had to be sent.

    Raises CodeError if the bundle is neither there nor here any more; see `bundle.send`.
    """
    return isinstance(storage, Bundle) and bundle.send(client, storage, Path.cwd())


def _chosen(deployment: DeploymentFields, said: Collection[str], code: str | None) -> Code | None:
    """Which way it is to be; None: the storage that the deployment has. Raises ConfigurationError."""
    named = "storage" in said and deployment.storage is not None
    has_image = local_code.has_image(deployment.infrastructure)
    kind = deployment.infrastructure.get_block_type_slug()
    if code is None:
        if deployment.storage is not None:
            # one that was made by an earlier build is made anew, one that somebody names is what they mean
            return "bundle" if isinstance(deployment.storage, Bundle) and not named else None
        if "path" in said:
            return "image" if has_image else "local"
        return "bundle" if has_image else "local"
    if code not in CODES:
        raise ConfigurationError(
            f"code is one of {', '.join(CODES)}, not {code!r}.{did_you_mean(code, CODES)}", code="code_unknown"
        )
    if named:
        raise ConfigurationError(
            f"The storage block says where the code lies, and so does code={code!r}.",
            code="code_twice",
            hint="Give one of them.",
        )
    if code == "image" and not has_image:
        raise ConfigurationError(
            f"A {kind} has no image that the code could be in.",
            code="code_no_image",
            hint="Use --code local or --code bundle.",
        )
    if code == "bundle" and "path" in said and deployment.path:
        raise ConfigurationError(
            "A bundle is made of the current folder, so path says nothing.",
            code="code_twice",
            hint="Leave path out, and build in the folder that is to travel.",
        )
    if code == "local" and has_image:
        place = deployment.path if "path" in said and deployment.path else str(Path.cwd())
        if not _is_mounted(deployment, place):
            raise ConfigurationError(
                f"A {kind} sees nothing of this machine: the code cannot lie in {place}.",
                code="code_out_of_reach",
                hint="Leave --code away, and the code travels as a bundle; or mount the folder at that path.",
            )
    return next(known for known in CODES if known == code)


def refuse_out_of_reach(deployment: Located) -> None:
    """Raise ConfigurationError for a folder of this machine that infrastructure with an image would look for in vain.

    A path without a storage is one of the image, unless it cannot be, or is a folder of this machine in which images keep
    no code: in somebody's home, or among what is temporary.
    """
    if not local_code.has_image(deployment.infrastructure):
        return
    storage, slug = deployment.storage, deployment.infrastructure.get_block_type_slug()
    if isinstance(storage, LocalFileSystem):
        folder = storage.basepath or deployment.path or "."
        name = f"/{storage._block_document_name}" if block_data.is_saved(storage) else ""
        what = f"The storage local-file-system{name} is the folder {folder} of a machine"
    elif storage is None and _is_folder_of_this_machine(deployment.path):
        folder = str(deployment.path)
        what = f"The code lies in {folder} of this machine"
    else:
        return
    if holds_reference(folder) or _is_mounted(deployment, folder):
        return
    raise ConfigurationError(
        f"{what}, and a {slug} sees nothing of any machine.", code="code_out_of_reach", hint=local_code.WAY_OUT
    )


def _is_folder_of_this_machine(path: str | None) -> bool:
    if not path or local_code.is_no_path_of_images(path):
        return bool(path)
    own = (Path.home(), Path(tempfile.gettempdir()))
    return Path(path).is_dir() and any(Path(path).is_relative_to(folder) for folder in own if len(folder.parts) > 1)


def _is_mounted(deployment: Located, folder: str) -> bool:
    return local_code.is_mounted(deployment.infrastructure, deployment.infra_overrides, folder)


def _check_entrypoint(entrypoint: str | None, packed: Packed) -> None:
    """Raise CodeError if the flow's file is not in the bundle. A module may be installed where the run is."""
    file = (entrypoint or "").rpartition(":")[0]
    if not file.endswith(".py"):
        return
    paths = [entry.path for entry in packed.contents.entries]
    if PurePosixPath(file).is_absolute() or file.startswith("../"):
        raise CodeError(
            f"The flow's file {file} does not lie in {Path.cwd()}, of which the bundle is made.",
            code="bundle_without_flow",
            hint="Build in the folder that holds all of the flow's code.",
        )
    if PurePosixPath(file).as_posix() not in paths:
        raise CodeError(
            f"The flow's file {file} is not among the files of the bundle.{did_you_mean(file, paths)}",
            code="bundle_without_flow",
            hint="If it is there, .penstockignore names it, or .gitignore where there is none.",
        )
