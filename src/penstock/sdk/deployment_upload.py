"""Copies the current folder, in which a flow's code lies, into the storage of its deployment."""

from pathlib import Path, PurePosixPath

from penstock.errors import ConfigurationError
from penstock.sdk.deployment_fields import DeploymentFields
from penstock.storage.bundle_ignore import DEFAULT_IGNORED
from penstock.storage.ignore import ALWAYS_IGNORED, IGNORE_FILES

#: What nobody wants to be stored: what is made anew anywhere, what belongs to one machine, what may hold secrets.
IGNORED_BY_DEFAULT = (*ALWAYS_IGNORED, *DEFAULT_IGNORED, *IGNORE_FILES)


def takes_uploads(deployment: DeploymentFields) -> bool:
    """Whether the deployment has a storage that files can be put into."""
    return deployment.storage is not None and "put-directory" in deployment.storage.get_block_capabilities()


def write_ignore_file() -> Path | None:
    """Write an ignore file with defaults into the current folder, unless there is one. Returns the one that was written."""
    if any(Path(name).exists() for name in IGNORE_FILES):
        return None
    path = Path(IGNORE_FILES[0])
    path.write_text("".join(f"{pattern}\n" for pattern in IGNORED_BY_DEFAULT))
    return path


def upload(deployment: DeploymentFields, ignore_file: str | None = None) -> int | None:
    """Copy the current folder into the storage. Returns the number of files; None if there is no storage for it.

    `ignore_file` says what stays behind; without it the folder's own, which is written if there is none.
    Raises ConfigurationError if the flow's file is not in the folder, so that it would not be in the storage.
    """
    if not takes_uploads(deployment):
        return None
    refuse_code_elsewhere(deployment)
    if ignore_file is None:
        write_ignore_file()
    count: int = deployment.storage.put_directory(  # type: ignore[union-attr]
        local_path=None, to_path=deployment.path, ignore_file=ignore_file
    )
    return count


def refuse_code_elsewhere(deployment: DeploymentFields) -> None:
    """Raise ConfigurationError if the entrypoint is a file that does not lie below the current folder."""
    path = (deployment.entrypoint or "").rpartition(":")[0]
    if PurePosixPath(path).is_absolute():
        raise ConfigurationError(
            f"The flow's file {path} does not lie in {Path.cwd()}, the folder that is stored: runs would not find it.",
            code="code_elsewhere",
            hint=f"Build in a folder that holds it, e.g. `cd {PurePosixPath(path).parent}`; the code of a package that "
            "is installed where runs are has the entrypoint package.module:flow.",
        )
