"""Podman's service that speaks Docker's API, with storage of its own, as a child of the tests."""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker_daemon

from penstock.testing import wait_until

_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin"

_CONFIG = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def find_podman() -> str | None:
    """The path of podman, or None where there is none or where this user cannot start containers."""
    return shutil.which("podman", path=_PATH) if os.geteuid() == 0 else None


@contextmanager
def running_podman() -> Iterator[str]:
    """The address of a running one, without images. Raises RuntimeError if it does not answer."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-podman-", dir="/tmp"))
    env = {**os.environ, "PATH": _PATH, "CONTAINERS_CONF": str(folder / "containers.conf"), "TMPDIR": str(folder)}
    (folder / "containers.conf").write_text(_config(folder))
    (folder / "networks").mkdir()
    (folder / "networks/podman.conflist").write_text(json.dumps(_network(folder)))
    program = [
        str(find_podman()),
        "--root",
        f"{folder}/root",
        "--runroot",
        f"{folder}/run",
        "--tmpdir",
        f"{folder}/tmp",
    ]
    program += ["--storage-driver", "overlay" if _takes_overlays(folder) else "vfs"]
    program += ["--network-config-dir", f"{folder}/networks"]
    address = f"unix://{folder}/podman.sock"
    with (folder / "output").open("wb") as output:
        service = subprocess.Popen(
            [*program, "system", "service", "--time", "0", address], env=env, stdout=output, stderr=output
        )
    try:
        wait_until(
            lambda: service.poll() is not None or docker_daemon.answers(address),
            timeout=120,
            message="podman does not answer",
        )
        if service.poll() is not None:
            raise RuntimeError(f"podman ended: {(folder / 'output').read_text()[-2000:]}")
        yield address
    finally:
        subprocess.run([*program, "rm", "--all", "--force", "--time", "0"], env=env, capture_output=True, check=False)
        service.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.wait(30)
        service.kill()
        service.wait()
        docker_daemon.remove(folder, folder)
        shutil.rmtree(folder, ignore_errors=True)


def _config(folder: Path) -> str:
    """With limits that this machine can give: podman asks for a million open files."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _CONFIG.format(files=min(files, 1048576))


def _network(folder: Path) -> dict[str, object]:
    """The network of containers that ask for none: without rules of a firewall, which would outlive it."""
    net = docker_daemon.make_bridge(folder)
    ranges = [[{"subnet": f"{net}.0/24", "gateway": f"{net}.1"}]]
    addresses = {
        "type": "host-local",
        "dataDir": f"{folder}/addresses",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": ranges,
    }
    bridge = {"type": "bridge", "bridge": docker_daemon.bridge_name(folder), "isGateway": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "podman", "plugins": [bridge]}


def _takes_overlays(folder: Path) -> bool:
    """Whether an overlay can be mounted there; where not, every layer is copied."""
    top = Path(tempfile.mkdtemp(dir=folder))
    for name in ("lower", "upper", "work", "merged"):
        (top / name).mkdir()
    options = f"lowerdir={top}/lower,upperdir={top}/upper,workdir={top}/work"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, f"{top}/merged"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return False
    subprocess.run(["umount", f"{top}/merged"], check=True)
    return True
