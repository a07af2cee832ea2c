"""From a rendered request to the very bodies that the engine is sent. Pure, but for the SDK's own builders."""

import io
import posixpath
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from penstock.infrastructure.docker.connection import DOCKERS_OWN, components
from penstock.infrastructure.variables import ATTEMPT_TOKEN, ATTEMPT_TOKEN_FILE

if TYPE_CHECKING:
    from docker import APIClient

#: Keyword arguments of the SDK's create_container that are no part of the body.
_NOT_IN_BODY = ("name", "platform", "use_config_proxy")


def create_body(client: "APIClient", request: Mapping[str, Any]) -> dict[str, Any]:
    """The body of POST /containers/create, with its secrets in clear."""
    create = {key: value for key, value in request["create"].items() if key not in _NOT_IN_BODY}
    environment = {**create.get("environment", {}), **_variables_instead(request)}
    if None in environment.values() and not _takes_variables_away(client):
        environment = {name: value for name, value in environment.items() if value is not None}
    # what is None becomes a name without a value, which takes the image's variable away
    create["environment"] = {name: _clear(value) for name, value in environment.items()}
    body: dict[str, Any] = client.create_container_config(
        **create, host_config=client.create_host_config(**request["host_config"])
    )
    raw = request.get("raw") or {}
    body.update(raw.get("Config") or {})
    body["HostConfig"] = {**(body.get("HostConfig") or {}), **(raw.get("HostConfig") or {})}
    return body


def _takes_variables_away(client: "APIClient") -> bool:
    """Whether a name without a value takes the image's variable away. Docker does that; Podman puts in what its own
    service has under that name, which is none of the container's business."""
    return DOCKERS_OWN in components(client)


def secret_archive(request: Mapping[str, Any]) -> tuple[str, bytes] | None:
    """A folder, and the tar archive that is unpacked there before the container starts: the files that must not be shown.

    None if there are none, or if they cannot be put there: then they are variables. Everybody in the container may read
    them: it may run as any user.
    """
    files: Mapping[str, Any] = request.get("secret_files") or {}
    if not files or not _takes_files(request):
        return None
    # where the root is read-only, engines take files for a volume by its own path alone
    place = next(iter(_volumes(request)), "/")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for folder in sorted({posixpath.dirname(path) for path in files} - {place}):
            entry = tarfile.TarInfo(posixpath.relpath(folder, place))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path, value in files.items():
            content = str(_clear(value)).encode()
            entry = tarfile.TarInfo(posixpath.relpath(path, place))
            entry.mode, entry.size = 0o444, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return place, packed.getvalue()


def first_secret_path(request: Mapping[str, Any]) -> str | None:
    """A path that is there once the archive has been unpacked."""
    return next(iter(request.get("secret_files") or {}), None)


def _variables_instead(request: Mapping[str, Any]) -> dict[str, Any]:
    """The token as a variable, where a file cannot be put into the container."""
    environment = request["create"].get("environment") or {}
    path = environment.get(ATTEMPT_TOKEN_FILE)
    files = request.get("secret_files") or {}
    return {ATTEMPT_TOKEN: files[path]} if path in files and not _takes_files(request) else {}


def _takes_files(request: Mapping[str, Any]) -> bool:
    """Whether what is put into the container before it starts is there afterwards, and nowhere else.

    A read-only root takes nothing but in a volume; what is mounted over the folder hides it, or carries it to the host.
    New volumes are no such mounts: engines put into them what comes for their place.
    """
    files = request.get("secret_files") or {}
    host = {**request["host_config"], **((request.get("raw") or {}).get("HostConfig") or {})}
    if (host.get("read_only") or host.get("ReadonlyRootfs")) and not all(
        any(_is_below(path, volume) for volume in _volumes(request)) for path in files
    ):
        return False
    mounted = [str(path) for path in (*_keys(host.get("tmpfs")), *_keys(host.get("Tmpfs")))]
    mounted += [_target_of(str(bind)) for bind in (*_keys(host.get("binds")), *_keys(host.get("Binds")))]
    mounted += [str(mount.get("Target") or "") for key in ("mounts", "Mounts") for mount in host.get(key) or ()]
    return not any(_is_below(path, folder) for path in files for folder in mounted if folder)


def _volumes(request: Mapping[str, Any]) -> list[str]:
    """The folders of the container that are new volumes."""
    return [str(folder) for folder in request["create"].get("volumes") or ()]


def _target_of(bind: str) -> str:
    parts = bind.split(":")
    return next((part for part in parts[1:] if part.startswith("/")), parts[0])


def _keys(value: Any) -> list[Any]:
    return list(value or ())


def _is_below(path: str, folder: str) -> bool:
    folder = posixpath.normpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _clear(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
