"""The engines and registries that tests start are whole, are their own, and leave nothing behind."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import docker
import docker_daemon
import docker_engine
import docker_images
import pytest
from docker.errors import DockerException

from penstock.testing import wait_until

SERVICES = Path(docker_engine.__file__).parent


def _traces(folder: str) -> list[str]:
    """What there is of a daemon in `folder`: processes, mounts, links, control groups, files."""
    name = Path(folder).name
    processes = subprocess.run(
        ["ps", "axo", "stat,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = [line for line in processes if folder in line and not line.startswith("Z")]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if folder in line]
    links = Path("/sys/class/net", docker_daemon.bridge_name(Path(folder)))
    groups = Path("/sys/fs/cgroup").glob(f"*/{name}")
    return found + [str(path) for path in (links, *groups, Path(folder)) if path.exists()]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, as sockets need."""
    with TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def _sleeper(client: docker.APIClient) -> str:
    made = client.create_container(docker_images.BUSYBOX, ["sh", "-c", "trap exit TERM; sleep 600 & wait"])
    client.start(made["Id"])
    return str(made["Id"])


def test_an_engine_of_ones_own_is_killed_frozen_and_started_again_on_its_data_and_then_nothing_is_left_of_it():
    with docker_engine.own_engine() as engine:
        folder = str(engine.daemon.folder)
        with engine.client() as client:
            before, container = client.info()["ID"], _sleeper(client)
        engine.kill()
        assert not docker_daemon.answers(engine.address)
        engine.start()
        with engine.client() as client:
            assert client.info()["ID"] == before
            assert [found["Id"] for found in client.containers(all=True)] == [container]
            client.start(container)
            with docker_engine.engine().client() as machine:
                assert machine.info()["ID"] != before
        engine.freeze()
        assert not docker_daemon.answers(engine.address, seconds=0.5)
        engine.thaw()
        assert docker_daemon.answers(engine.address)
        assert len(_traces(folder)) > 3
    assert _traces(folder) == []


def test_an_engine_of_tests_that_are_killed_goes_with_them():
    code = (
        f"import sys; sys.path.insert(0, {str(SERVICES)!r}); import docker_engine, os, signal\n"
        "with docker_engine.own_engine() as engine:\n"
        "    print(engine.daemon.folder, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    if docker_daemon.find_dockerd() is None:
        pytest.skip("only root can start a dockerd")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    folder = done.stdout.strip()
    assert folder, done.stderr
    wait_until(lambda: not _traces(folder), timeout=200, message=f"traces of {folder}")


def test_an_engine_that_processes_share_ends_with_the_last_of_them(tmp_path: Path, short: Path):
    if docker_daemon.find_dockerd() is None:
        pytest.skip("only root can start a dockerd")
    folder = short / f"penstock-{uuid4().hex[:8]}"  # its bridge and its control group are named after it
    code = (
        f"import sys; sys.path.insert(0, {str(SERVICES)!r}); import docker_daemon; from pathlib import Path\n"
        f"print(docker_daemon.share(Path({str(folder)!r}), Path({str(tmp_path / 'data')!r})), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with ExitStack() as stack:
        start = partial(subprocess.Popen, [sys.executable, "-c", code], stdin=-1, stdout=-1, text=True)
        users = [stack.enter_context(start()) for _ in range(3)]
        (address,) = {user.stdout.readline().strip() for user in users if user.stdout}
        for user in users[:2]:
            user.kill()
            user.wait()
            assert docker_daemon.answers(address)
    files = str(folder)
    wait_until(lambda: set(_traces(files)) <= {files}, timeout=200, message=f"traces of {folder}")
    assert not docker_daemon.answers(address)


def test_podman_runs_containers_by_the_same_api():
    with docker_engine.podman_engine() as engine, engine.client() as client:
        container = _sleeper(client)
        assert client.inspect_container(container)["State"]["Running"]
        client.remove_container(container, force=True)
        name = client.create_container(docker_images.BUSYBOX, ["sh", "-c", "exit 3"])["Id"]
        client.start(name)
        assert client.wait(name)["StatusCode"] == 3
        folder = engine.address.removeprefix("unix://").rpartition("/")[0]
    assert _traces(folder) == []


def test_a_registry_lets_in_who_has_its_login_and_nobody_else():
    image = docker_engine.busybox_image()
    login = {"username": "ann", "password": "p:w/ d"}
    with docker_engine.registry({"ann": "p:w/ d"}) as registry, docker_engine.engine().client() as client:
        name = registry.push(client, image, "team/tools:1")
        with pytest.raises(DockerException, match="no basic auth credentials"):
            client.pull(name)
        with pytest.raises(DockerException, match=r"unauthorized|denied"):
            client.pull(name, auth_config={**login, "password": "wrong"})
        try:
            client.pull(name, auth_config=login)
            assert client.inspect_image(name)["Id"] == client.inspect_image(image)["Id"]
        finally:
            client.remove_image(name)
        registry.stop()
        with pytest.raises(DockerException):
            client.pull(name, auth_config=login)
        registry.start()
        client.pull(name, auth_config=login)
        client.remove_image(name)
