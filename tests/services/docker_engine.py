"""A Docker engine, images and registries for tests. What is missing skips the test, saying so; with CI set it fails.

`engine()` is for nearly everything: the machine's own, or one that the tests start and that goes when they have gone.
It is shared: name or label what you make, remove it, and nothing else. `own_engine()` is for tests that stop or break one.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import docker
import docker_daemon
import docker_images
import docker_registry
import podman_service as podman
import pytest
from penstock_image import build as build_penstock_image

#: Sockets of an engine lie far below its folder, and their paths have at most 104 characters.
_SHORT = Path("/tmp")


@dataclass(frozen=True)
class Engine:
    """One that runs; `address` is what DOCKER_HOST says."""

    address: str

    @property
    def env(self) -> dict[str, str]:
        """The variables that make programs and libraries use it."""
        return {"DOCKER_HOST": self.address}

    @contextmanager
    def client(self) -> Iterator[docker.APIClient]:
        """A client of its own, closed at the end."""
        client = docker.APIClient(base_url=self.address, version="auto", timeout=120)
        try:
            yield client
        finally:
            client.close()


@dataclass(frozen=True)
class OwnEngine(Engine):
    """One that nobody else uses: it may be stopped, killed, frozen and started again, on the same address and data."""

    daemon: docker_daemon.Daemon

    def start(self) -> None:
        """Returns when it answers."""
        self.daemon.start()

    def stop(self) -> None:
        """As a service manager does; its containers are stopped."""
        self.daemon.stop()

    def kill(self) -> None:
        """Its containers go on, and nobody answers for them."""
        self.daemon.kill()

    def freeze(self) -> None:
        """It takes connections and says nothing, until `thaw`."""
        self.daemon.freeze()

    def thaw(self) -> None:
        self.daemon.thaw()


@cache
def engine() -> Engine:
    """The engine that tests share."""
    for address in (os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock"):
        if address and docker_daemon.answers(address):
            return Engine(address)
    if docker_daemon.find_dockerd() is None:
        _missing("no Docker engine answers here, and only root can start one (Debian's package docker.io)")
    folder = _SHORT / f"penstock-engine-{os.getuid()}"
    return Engine(docker_daemon.share(folder, docker_images.cache_folder() / "engine"))


@contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """A dockerd with busybox in it, and a bridge of its own.

    When the block ends, everything of it is gone, whatever was done to it.
    """
    if docker_daemon.find_dockerd() is None:
        _missing("only root can start a dockerd, and there must be one (Debian's package docker.io)")
    # its name becomes that of a namespace in containerd, which does not take all that a random name of Python's may have
    folder = _SHORT / f"penstock-docker-{uuid4().hex[:12]}"
    folder.mkdir(mode=0o700)
    guard = docker_daemon.guard(folder)
    daemon = docker_daemon.Daemon(folder, folder / "data")
    try:
        daemon.start()
        running = OwnEngine(daemon.address, daemon)
        busybox_image(running)
        yield running
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait(240)
        daemon.forget()


def docker_program() -> str:
    """The path of the docker command."""
    found = shutil.which("docker")
    if found is None:
        _missing("there is no docker command (Debian's packages docker.io, docker-cli)")
    return found


def busybox_image(where: Engine | None = None) -> str:
    """The name of an image of 2 MB with `sh`, `sleep`, `cat`, `wget` …, which is there now."""
    try:
        with docker_images.locked("busybox"), (where or engine()).client() as client:
            return docker_images.import_busybox(client)
    except FileNotFoundError as error:
        _missing(str(error))


def python_image(where: Engine | None = None) -> str:
    """The name of an image with Debian and python3, which is there now: ``penstock-test/python:3.11`` on Debian 12."""
    try:
        with docker_images.locked("python"), (where or engine()).client() as client:
            return docker_images.import_python(client)
    except FileNotFoundError as error:
        _missing(str(error))


def penstock_image(where: Engine | None = None) -> str:
    """The name of the project's own image of this checkout, with the extra for S3, which is there now.

    Where only code has changed it takes some seconds; the first time of all, a minute.
    """
    base = python_image(where)
    with docker_images.locked("penstock"), (where or engine()).client() as client:
        return build_penstock_image(client, base)


@contextmanager
def podman_engine() -> Iterator[Engine]:
    """Podman, which speaks Docker's API, with busybox in it and storage of its own; it is gone when the block ends."""
    if podman.find_podman() is None:
        _missing("only root can start podman, and there must be one (Debian's package podman)")
    with podman.running_podman() as address:
        running = Engine(address)
        busybox_image(running)
        yield running


@contextmanager
def registry(users: Mapping[str, str] | None = None) -> Iterator[docker_registry.Registry]:
    """A registry that lets in these users with their passwords; without any, everybody."""
    if docker_registry.find_registry() is None:
        _missing("docker-registry is not installed (Debian's package docker-registry)")
    with docker_registry.running_registry(users or {}) as running:
        yield running


def _missing(what: str) -> NoReturn:
    message = f"{what}; see tests/services/install"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


if __name__ == "__main__":  # so that the tests find it built
    try:
        penstock_image()
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        sys.exit(str(missing))
