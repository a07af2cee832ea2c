"""A dockerd of the tests' own: beside any other, with nothing of it left when it ends, however the tests end.

A second process, the guard, ends it: when the tests close it, when they die, or, where several processes of one test run
share it, when the last of them has gone.
"""

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from freezing import freeze

_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
_CGROUPS = Path("/sys/fs/cgroup")
#: Seconds that a daemon may take to answer for the first time, and to end, on a machine that is busy with other things.
_START_SECONDS, _END_SECONDS = 180, 120
#: Seconds within which what was killed is gone.
_DEATH_SECONDS = 60


def find_dockerd() -> str | None:
    """The path of dockerd, or None where there is none or where this user cannot start it."""
    return shutil.which("dockerd", path=_PATH) if os.geteuid() == 0 else None


@dataclass
class Daemon:
    """A dockerd with everything in `folder` but its `data`, and with a bridge of its own.

    Without one it would take the bridge `docker0` away from the machine's own engine, and from the containers on it.
    """

    folder: Path
    data: Path
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def output(self) -> str:
        """What it has written so far."""
        return (self.folder / "output").read_text(errors="replace")

    def start(self) -> None:
        """Returns when it answers. Falls back to a driver that copies, where this machine has no overlays."""
        make_bridge(self.folder)
        known = self.data / "driver"
        drivers = [known.read_text()] if known.exists() else ["overlay2", "vfs"]
        for driver in drivers:
            if self._start(driver):
                known.write_text(driver)
                return
        raise RuntimeError(f"dockerd did not start: {self.output[-2000:]}")

    def stop(self) -> None:
        """As a service manager stops it: its containers are stopped."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As if the machine had killed it: its containers go on, with nobody to answer for them."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """It takes connections and says nothing any more, until `thaw`."""
        assert self._process is not None
        freeze(self._process.pid)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """What is left to do here after somebody else has ended it."""
        if self._process is not None:
            self._process.wait(_END_SECONDS)
            self._process = None

    def _start(self, driver: str) -> bool:
        """Whether it answers; False if it ends with that driver. Raises RuntimeError if it does neither."""
        (self.data).mkdir(parents=True, exist_ok=True)
        for pid_file in (self.folder / "docker.pid", self.folder / "exec/containerd/containerd.pid"):
            if _pid_in(pid_file) is None:  # to dockerd one that nobody has collected still runs
                pid_file.unlink(missing_ok=True)
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                self._command(driver),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, "PATH": _PATH},
            )
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None:
            if answers(self.address):
                return True
            if time.monotonic() > deadline:  # that says nothing of the driver
                self._end(signal.SIGKILL)
                raise RuntimeError(f"dockerd does not answer: {self.output[-2000:]}")
            time.sleep(0.02)
        self._end(signal.SIGKILL)
        return False

    def _command(self, driver: str) -> list[str]:
        """dockerd with every path and name its own, so that it meets no other one."""
        folder, config = self.folder, self.folder / "daemon.json"
        # before, the engine's id came from a key that all engines of a machine share
        config.write_text(json.dumps({"deprecated-key-path": f"{self.data}/key.json"} if _version() < 24 else {}))
        command = [
            str(find_dockerd()),
            "--config-file",
            str(config),
            "--host",
            self.address,
            "--storage-driver",
            driver,
        ]
        command += ["--data-root", str(self.data), "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/docker.pid"]
        command += ["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--cgroup-parent", f"/{folder.name}"]
        command += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--group", str(os.getgid())]
        # where the machine has a containerd running, dockerd takes that one
        command += ["--containerd-namespace", folder.name, "--containerd-plugins-namespace", f"{folder.name}-plugins"]
        command += ["--bridge", bridge_name(folder)]
        return command

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            if number == signal.SIGTERM:
                self._process.send_signal(signal.SIGCONT)
            self._process.wait(_END_SECONDS)
            self._process = None


def answers(address: str, seconds: float = 30) -> bool:
    """Whether an engine answers there in time. Asked without the SDK, which leaves a socket open where nobody listens."""
    parts = urlsplit(address)
    family = socket.AF_UNIX if parts.scheme == "unix" else socket.AF_INET
    place = parts.path if parts.scheme == "unix" else (parts.hostname, parts.port)
    with socket.socket(family) as line:
        line.settimeout(seconds)
        try:
            line.connect(place)
            line.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in line.recv(64)
        except OSError:
            return False


def guard(folder: Path) -> "subprocess.Popen[bytes]":
    """A process that removes what `folder` holds, with its daemon, when its standard input is closed."""
    return subprocess.Popen(
        [sys.executable, __file__, "guard", str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )


def share(folder: Path, data: Path) -> str:
    """The address of the daemon that all test processes of this user share. It is held until this process ends.

    Who is first starts it; when nobody holds it any more, it ends. Its data stays, so that images are there the next time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "starting").open("a") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        _hold(folder / "users")  # waits for one that is just ending
        process = None
        if not is_held(folder / "guard"):
            command = [sys.executable, __file__, "share", str(folder), str(data)]
            with (folder / "guard-output").open("wb") as output:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            # it goes on for as long as anybody needs it: nobody waits for it here
            _guards.append(process)
        # also where somebody else has begun it, who may have been killed before it answered
        while not (answers(_address(folder)) and is_held(folder / "guard")):
            ended = process.poll() is not None if process is not None else not is_held(folder / "guard")
            if ended:
                raise RuntimeError(f"no engine for the tests: {(folder / 'guard-output').read_text()[-2000:]}")
            time.sleep(0.05)
    return _address(folder)


def remove(folder: Path, data: Path) -> None:
    """End the daemon of `folder`, whether it is well or not, with its containers, mounts, networks and control groups."""
    for shim in _processes_of(folder, "containerd-shim"):
        for child in _descendants(shim):
            _send(child, signal.SIGKILL)
    daemon = _pid_in(folder / "docker.pid")
    if daemon is not None:
        _send(daemon, signal.SIGCONT)
        _remove_networks(folder)
        _send(daemon, signal.SIGTERM)
        _wait(lambda: not _alive(daemon), 20)
    _kill_all_of(folder)
    for point in sorted({*_mounts_in(folder), *_mounts_in(data)}, reverse=True):
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)
    subprocess.run(["ip", "link", "delete", bridge_name(folder)], check=False, capture_output=True)
    for top in [_CGROUPS / folder.name, *_CGROUPS.glob(f"*/{folder.name}")]:
        _remove_cgroups(top)


def _kill_all_of(folder: Path) -> None:
    """Return when nothing of it runs any more: what is just dying still holds mounts and control groups."""
    killed: dict[int, str] = {}

    def gone() -> bool:
        for top in list(_processes_of(folder, "")):
            for pid in (*_descendants(top), top):
                if pid not in killed and (began := _began(pid)) is not None:
                    killed[pid] = began  # once: the number may be somebody else's soon
                    _send(pid, signal.SIGKILL)
        return not any(_began(pid) == began for pid, began in killed.items())

    _wait(gone, _DEATH_SECONDS)


def _address(folder: Path) -> str:
    return f"unix://{folder}/docker.sock"


def _hold(path: Path) -> None:
    """Count as a user until this process ends. A lock of the process: what it forks does not hold it."""
    # a bare number, because the end of the process closes it, and nothing before
    fcntl.lockf(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_SH)


_guards: list["subprocess.Popen[bytes]"] = []


def is_held(path: Path) -> bool:
    """Whether another process holds it."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def bridge_name(folder: Path) -> str:
    """The bridge of the daemon of `folder`."""
    return f"pt{folder.name[-8:].replace('-', '').replace('_', '')}"  # at most 15 letters


def make_bridge(folder: Path) -> str:
    """Have a bridge with a network that nothing else of this machine has; the first three numbers of that network."""
    name = bridge_name(folder)
    with Path("/tmp/penstock-networks.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # other test runs look for a network as well
        found = _networks(name)
        if not found:
            taken = _networks()
            free = random.choice([net for number in range(10, 250) if (net := f"10.199.{number}") not in taken])
            if not Path(f"/sys/class/net/{name}").exists():
                subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
            subprocess.run(["ip", "address", "add", f"{free}.1/24", "dev", name], check=True)
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
            found = [free]
    return found[0]


def _networks(link: str | None = None) -> list[str]:
    """The first three numbers of the addresses that this machine, or one link of it, has."""
    of_link = ["dev", link] if link is not None else []
    # with a failure where there is no such link
    said = subprocess.run(["ip", "-o", "-4", "address", "show", *of_link], capture_output=True, text=True, check=False)
    return [line.split()[3].rpartition(".")[0] for line in said.stdout.splitlines()]


def _remove_networks(folder: Path) -> None:
    """The bridges of networks that tests have made would outlive the daemon."""
    from docker import APIClient
    from docker.errors import DockerException

    try:
        client = APIClient(base_url=_address(folder), version="auto", timeout=20)
    except DockerException:
        return
    try:
        for container in client.containers(all=True):
            client.remove_container(container["Id"], force=True)
        for network in client.networks(filters={"type": "custom"}):
            client.remove_network(network["Id"])
    except DockerException as error:
        print(f"networks of the tests may be left: {error}", file=sys.stderr)
    finally:
        client.close()


def _version() -> int:
    """The major version of dockerd: "Docker version 20.10.24+dfsg1, build …"."""
    said = subprocess.run([str(find_dockerd()), "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split("version ")[1].split(".")[0])


def _processes_of(folder: Path, program: str) -> Iterator[int]:
    """Those that were started with a path in `folder`, and with `program` in their command."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            ours = any(argument.removeprefix("unix://").startswith(f"{folder}/") for argument in arguments[1:])
            if ours and program in arguments[0] and __file__ not in arguments:
                yield int(entry.name)


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *_descendants(child))]


def _pid_in(path: Path) -> int | None:
    """The pid that a daemon has written there, if that process is the daemon: the number may be somebody else's by now."""
    try:
        pid = int(path.read_text())
        ours = str(path.parent).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if ours and _alive(pid) else None


def _alive(pid: int) -> bool:
    return _began(pid) is not None


def _began(pid: int) -> str | None:
    """When that process began, in ticks since the machine did; None if it is over."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[19] if fields[0] not in "ZX" else None


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait(over: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not over() and time.monotonic() < deadline:
        time.sleep(0.02)


def _mounts_in(folder: Path) -> list[str]:
    """Mount points below `folder`, and itself: dockerd makes one of its data."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [point for line in lines if Path(point := line.split()[4]).is_relative_to(folder)]


def _remove_cgroups(top: Path) -> None:
    """A group whose last process has just died may be told to be busy for a moment."""
    errors: list[OSError] = []

    def gone() -> bool:
        errors.clear()
        for folder, _, _ in sorted(os.walk(top), reverse=True):
            try:
                os.rmdir(folder)
            except OSError as error:
                errors.append(error)
        return not errors

    _wait(gone, 10)
    for error in errors:
        print(f"a control group is left: {error}", file=sys.stderr)


def _main(mode: str, folder: Path, data: Path | None = None) -> None:
    if mode == "guard":
        sys.stdin.buffer.read()
        remove(folder, folder / "data")
        shutil.rmtree(folder, ignore_errors=True)
        return
    assert data is not None
    with (folder / "users").open("a+") as users, (folder / "guard").open("a") as alive:  # alive is let go of first
        fcntl.flock(alive, fcntl.LOCK_EX)
        Daemon(folder, data).start()
        fcntl.lockf(users, fcntl.LOCK_EX)
        remove(folder, data)


if __name__ == "__main__":
    _main(sys.argv[1], *(Path(argument) for argument in sys.argv[2:]))
