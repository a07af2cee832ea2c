"""A real Kubernetes for tests: one node on this machine, started when the first test asks and stopped after the last.

Its programs are built once per machine by `tests/services/build`: what needs them waits until it is done. All test processes
of a user share one cluster; each test has a namespace of its own. PENSTOCK_TEST_KUBECONFIG names another cluster to
use instead, whose nodes must have the image `penstock-test/busybox:1`; tests that break a cluster then skip.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker_engine
import docker_images

from penstock import clock
from penstock.testing import wait_until

BUSYBOX = "penstock-test/busybox:1"

_SCRIPTS = Path(__file__).parent / "kubernetes-cluster"
#: What a script may take on a machine that does ten other things: it ends by itself, and well before where it can.
_SCRIPT_SECONDS = 900
#: Words of kubectl for a request that has reached nobody, and those of an API server that found no time to act on one.
_UNHEARD = ("TLS handshake timeout", "i/o timeout", "connection refused", "connection reset", "request timed out")
#: Commands that may be given twice.
_HARMLESS = frozenset({"get", "logs", "apply", "wait", "rollout"})
_AGAIN_SECONDS = 60.0
#: Those that this process has now: who waits to be alone waits for them, so a further one must not wait for him.
_namespaces: set[str] = set()


def binaries() -> Path:
    """Where the built programs are kept, by what they were built from."""
    recipe = hashlib.sha256()
    for part in (_SCRIPTS / "build.sh", *sorted((_SCRIPTS / "patches").glob("*.patch"))):
        recipe.update(part.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "penstock-tests" / f"kubernetes-{recipe.hexdigest()[:16]}" / "bin"


def is_built() -> bool:
    """Whether its programs are there, so that nobody has to wait for them."""
    return (binaries() / ".recipe").exists()  # written when all is built


def missing() -> str | None:
    """What is not here that a cluster needs, None if nothing is. Waits while the programs are being built."""
    if os.environ.get("PENSTOCK_TEST_KUBECONFIG"):
        return None
    if not is_built():
        with docker_images.locked("kubernetes"):
            pass  # tests/services/build has it for as long as it builds
    if not is_built():
        return "a built Kubernetes (tests/services/build)"
    if os.geteuid() != 0:
        return "root, as which a kubelet has to run"
    programs = [name for name in ("iptables", "openssl", "curl", "ip", "docker") if shutil.which(name) is None]
    return ", ".join(programs) or None


@dataclass(frozen=True)
class Cluster:
    """`folder` holds what runs; None for one that is somebody's own. `host`: this machine's address, as pods see it."""

    kubeconfig: Path
    folder: Path | None
    host: str | None

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints. What a busy machine has not heard in time is said again, where that does no harm."""
        own = binaries() / "kubectl"
        program = str(own) if own.exists() else "kubectl"
        command = [program, "--kubeconfig", str(self.kubeconfig), *arguments]
        deadline = clock.monotonic() + _AGAIN_SECONDS
        while (done := subprocess.run(command, input=stdin, capture_output=True, text=True)).returncode != 0:
            harmless = not _HARMLESS.isdisjoint(arguments)
            unheard = any(words in done.stderr for words in (_UNHEARD if harmless else _UNHEARD[:1]))
            if not unheard or clock.monotonic() > deadline:
                raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
            time.sleep(0.5)
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """What `kubectl get` finds, as data."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def load(self, image: str) -> None:
        """Give the nodes an image of this machine's Docker engine, unless they have one of that name."""
        assert self.folder is not None, "somebody's own cluster has a registry"
        with self._lock("images", fcntl.LOCK_EX):
            if f"docker.io/{image}" not in _script(self.folder, "image.sh", "list").split():
                _load(self.folder, image)

    def tag(self, image: str, name: str) -> None:
        """Give an image of the nodes another name."""
        assert self.folder is not None, "somebody's own cluster has a registry"
        _script(self.folder, "image.sh", "tag", image, name)

    @contextmanager
    def namespace(self) -> Iterator[str]:
        """A new namespace in which pods can be made. The test shares the cluster: nobody breaks it meanwhile."""
        if not _namespaces:
            with self._lock("gate", fcntl.LOCK_SH):
                pass  # somebody who wants to be alone goes first
        with self._lock("peace", fcntl.LOCK_SH), self.namespace_within() as name:
            _namespaces.add(name)
            try:
                yield name
            finally:
                _namespaces.discard(name)

    @contextmanager
    def namespace_within(self) -> Iterator[str]:
        """The same within `alone`."""
        name = f"penstock-test-{uuid4().hex[:8]}"
        self.kubectl("create", "namespace", name)
        try:
            wait_until(lambda: self._has_account(name), timeout=240, message="the namespace has no service account")
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else uses the cluster meanwhile, so that it may be broken. Not within `namespace`."""
        # the door as well: who comes meanwhile would start again what was killed
        gate, peace, door = (self._lock(name, fcntl.LOCK_EX) for name in ("gate", "peace", "door"))
        with gate, peace, door:
            yield

    def kill_kubelet(self) -> None:
        """The node's kubelet dies; its containers go on."""
        self._kill("kubelet")

    def kill_api_server(self) -> None:
        """The API server dies, and all connections to it."""
        self._kill("kube-apiserver")

    def revive(self) -> None:
        """What was killed is started again."""
        assert self.folder is not None, "somebody's own cluster is not to be broken"
        _script(self.folder, "up.sh")

    def _has_account(self, namespace: str) -> bool:
        found = self.get("serviceaccounts", "-n", namespace)
        # before Kubernetes 1.24 a pod is refused until the account has a token
        return any(
            item["metadata"]["name"] == "default" and (item.get("secrets") or self.folder is None)
            for item in found["items"]
        )

    def _kill(self, name: str) -> None:
        assert self.folder is not None, "somebody's own cluster is not to be broken"
        pid = int((self.folder / "run" / "pid" / name).read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: _is_gone(pid), timeout=120, message=f"{name} does not die")

    @contextmanager
    def _lock(self, name: str, kind: int) -> Iterator[None]:
        if self.folder is None:
            yield
            return
        with (self.folder / name).open("w") as file:
            fcntl.flock(file, kind)
            yield


@contextmanager
def cluster() -> Iterator[Cluster]:
    """The cluster, running. Who leaves it last stops it. Raises FileNotFoundError if it cannot run here."""
    own = os.environ.get("PENSTOCK_TEST_KUBECONFIG")
    if own:
        yield Cluster(Path(own), None, None)
        return
    lacking = missing()
    if lacking is not None:
        raise FileNotFoundError(f"No Kubernetes can run here. Missing: {lacking}")
    folder = Path(tempfile.gettempdir()) / f"penstock-test-k8s-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "door").open("w") as door, (folder / "users").open("w") as users:
        fcntl.flock(door, fcntl.LOCK_EX)
        try:
            kubeconfig = _started(folder)
            fcntl.flock(users, fcntl.LOCK_SH)
        finally:
            fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield Cluster(kubeconfig, folder, _host(kubeconfig))
        finally:
            _leave(folder, door.fileno(), users.fileno())


def _started(folder: Path) -> Path:
    kubeconfig = Path(_script(folder, "up.sh").split()[-1])
    if f"docker.io/{BUSYBOX}" not in _script(folder, "image.sh", "list"):
        docker_engine.busybox_image()
        _load(folder, BUSYBOX)
    return kubeconfig


def _load(folder: Path, image: str) -> None:
    _script(folder, "image.sh", "docker", image, DOCKER_HOST=docker_engine.engine().address)


def _leave(folder: Path, door: int, users: int) -> None:
    """The lock on `users` is shared by all who use the cluster: who gets it alone is the last."""
    fcntl.flock(users, fcntl.LOCK_UN)
    fcntl.flock(door, fcntl.LOCK_EX)
    with suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _script(folder, "down.sh", "--purge")


def _script(folder: Path, name: str, *arguments: str, **variables: str) -> str:
    env = {
        **os.environ,
        **variables,
        "K8S_BIN": str(binaries()),
        "K8S_RUN": str(folder / "run"),
        "K8S_RUNTIME": "containerd",
    }
    done = subprocess.run(
        [str(_SCRIPTS / name), *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SCRIPT_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} failed: {done.stderr}")
    return done.stdout


def _host(kubeconfig: Path) -> str:
    """The address that the API server listens on is the one by which pods reach this machine."""
    lines = kubeconfig.read_text().partition('server: "https://')[2]
    return lines.partition(":")[0]


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
