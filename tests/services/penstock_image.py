"""The project's own image, of this checkout, built from images/Dockerfile without any network: its packages are wheels of the host's.

Where nothing has changed the image is there already; where only Penstock's code has, only the last layers are made.
"""

import fcntl
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import docker_images
from docker.errors import DockerException
from docker_daemon import is_held

_ROOT = Path(__file__).parents[2]
_REPOSITORY = "penstock-test/penstock"
#: `s3` so that flows can be in a bucket; the rest as in the images of a release.
_EXTRAS = "docker,kubernetes,postgresql,s3"
#: What images/Dockerfile copies.
_TOPS = (
    "pyproject.toml", "README.md", "LICENSE", "constraints-test.txt", "src/penstock", "images/Dockerfile", "images/entrypoint.sh",
    "images/build", "images/wheels",
)  # fmt: skip
_KEPT_SECONDS = 6 * 3600


def build(client: docker.APIClient, base: str) -> str:
    """The name of the image, which is there now. Raises RuntimeError with the end of the output if it cannot be built."""
    sources = dict(_sources())
    version = base.rpartition(":")[2]
    base_id = client.inspect_image(base)["Id"]
    key = hashlib.sha256(f"{base_id} {_EXTRAS}".encode())
    for name, content in sources.items():
        key.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    name = f"{_REPOSITORY}:{key.hexdigest()[:16]}"
    _use(name)
    if not client.images(name, quiet=True):
        started = time.monotonic()
        _build(client, name, base, version, _context(sources, _wheels(version)))
        print(f"{name} was built in {time.monotonic() - started:.1f} s", file=sys.stderr)
        _forget_old(client, name)
    return name


def _sources() -> Iterator[tuple[str, bytes]]:
    """What goes into the image, by its path in the checkout."""
    for top in _TOPS:
        files = sorted((_ROOT / top).rglob("*")) if (_ROOT / top).is_dir() else [_ROOT / top]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".whl":
                yield str(file.relative_to(_ROOT)), file.read_bytes()


def _wheels(version: str) -> Path:
    """A folder with the wheels of everything that Penstock needs, fetched the way this machine fetches packages."""
    part = Path(tempfile.mkdtemp(prefix="wheels-", dir=docker_images.cache_folder()))
    try:
        python = [sys.executable, str(_ROOT / "images/build/requirements.py"), str(_ROOT), _EXTRAS]
        subprocess.run(python, cwd=part, check=True)
        wanted = (part / "requirements.txt").read_bytes() + (part / "constraints.txt").read_bytes()
        folder = part.with_name(f"wheels-{hashlib.sha256(version.encode() + wanted).hexdigest()[:16]}")
        if not folder.exists():
            _download(part, version)
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _download(folder: Path, version: str) -> None:
    """Wheels of the folder's requirements, into it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", "."]
    command += ["--python-version", version, "-c", "constraints.txt", "-r", "requirements.txt", "hatchling>=1.26"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the packages of the image could not be fetched: {done.stderr[-2000:]}")


def _context(sources: dict[str, bytes], wheels: Path) -> io.BytesIO:
    """The checkout as the builder gets it, the same bytes for the same content."""
    buffer = io.BytesIO()
    files = {**sources, **{f"images/wheels/{file.name}": file.read_bytes() for file in wheels.glob("*.whl")}}
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def _build(client: docker.APIClient, name: str, base: str, version: str, context: io.BytesIO) -> None:
    arguments = {
        "BASE_IMAGE": base,
        "PYTHON_VERSION": version,
        "SYSTEM_PACKAGES": "ca-certificates git tini",  # all of them in the base
        "PENSTOCK_EXTRAS": _EXTRAS,
        "PIP_NO_INDEX": "1",
    }
    output = ""
    steps = client.build(
        fileobj=context,
        custom_context=True,
        dockerfile="images/Dockerfile",
        tag=name,
        buildargs=arguments,
        network_mode="none",
        labels={docker_images.RECIPE: name.rpartition(":")[2]},
        rm=True,
        forcerm=True,
        decode=True,
    )
    for step in steps:
        output += step.get("stream", "")
        if "error" in step:
            raise RuntimeError(f"the image could not be built: {step['error']}\n{output[-4000:]}")


def _use(name: str) -> None:
    """Until this process ends other test runs leave that image there."""
    # a bare number, because the end of the process closes it, and nothing before
    fcntl.flock(os.open(_mark(name), os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_SH)


def _mark(name: str) -> Path:
    """The file that is locked by whoever uses an image."""
    folder = docker_images.cache_folder() / "used-images"
    folder.mkdir(exist_ok=True)
    return folder / name.rpartition(":")[2]


def _forget_old(client: docker.APIClient, newest: str) -> None:
    """Images of other states of the checkout go after some hours; those that a container or another test run uses stay."""
    for image in client.images(_REPOSITORY):
        if image["Created"] < time.time() - _KEPT_SECONDS:
            for name in image["RepoTags"] or []:
                ours = re.fullmatch(rf"(docker\.io/)?{_REPOSITORY}:[0-9a-f]{{16}}", name) is not None
                if ours and name != newest and not is_held(_mark(name)):
                    try:
                        client.remove_image(name)
                    except DockerException as error:
                        print(f"{name} stays: {error}", file=sys.stderr)
