"""A throw-away container registry for tests: Debian's docker-registry on a free port of loopback, with or without a login.

Engines speak to registries on loopback in the clear without being told to.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import docker

from penstock.testing import wait_until
from penstock.testing.ports import HeldPort

_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/bin"


@dataclass
class Registry:
    """`address` is what names of its images begin with; `users` are passwords by name, of all who may do everything."""

    folder: Path
    port: int
    users: Mapping[str, str] = field(repr=False)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """What it has written so far: also a line for each request."""
        return (self.folder / "output").read_text(errors="replace")

    def push(self, client: docker.APIClient, image: str, name: str) -> str:
        """The reference under which `image` of that engine is in the registry now: `name` is ``repository:tag``."""
        reference = f"{self.address}/{name}"
        client.tag(image, reference.rpartition(":")[0], reference.rpartition(":")[2])
        try:
            login = next(({"username": user, "password": password} for user, password in self.users.items()), None)
            for line in client.push(reference, auth_config=login, stream=True, decode=True):
                if "error" in line:
                    raise RuntimeError(f"{reference} was not pushed: {line['error']}")
        finally:
            client.remove_image(reference, noprune=True)
        return reference

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [str(find_registry()), "serve", str(self.folder / "config.yml")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(self._answers, timeout=120, message="docker-registry did not start")

    def stop(self) -> None:
        """It keeps what it has for the next start, on the same port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"docker-registry ended: {self.output[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 30).close()
        except OSError:
            return False
        return True


def find_registry() -> str | None:
    """The path of docker-registry, or None."""
    return shutil.which("docker-registry", path=_PATH) or shutil.which("registry", path=_PATH)


@contextmanager
def running_registry(users: Mapping[str, str]) -> Iterator[Registry]:
    """A running one, empty. Raises FileNotFoundError if it is not installed."""
    if find_registry() is None:
        raise FileNotFoundError("docker-registry is not installed")
    folder = Path(tempfile.mkdtemp(prefix="penstock-registry-"))
    held = HeldPort()  # also while it is stopped
    registry = Registry(folder, held.take("127.0.0.1"), dict(users))
    try:
        (folder / "config.yml").write_text(json.dumps(_config(folder, registry.port, users)))  # JSON is YAML
        lines = [f"{user}:{_hashed(password)}\n" for user, password in users.items()]
        (folder / "htpasswd").write_text("".join(lines))
        registry.start()
        yield registry
    finally:
        registry.stop()
        held.release()
        shutil.rmtree(folder, ignore_errors=True)


def _config(folder: Path, port: int, users: Mapping[str, str]) -> dict[str, object]:
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of the tests"},
    }
    if users:
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    return config


def _hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
