"""Tries an image of Penstock's the way jobs use it, and says what holds: `python images/smoke.py IMAGE [PROGRAM]`.

PROGRAM is docker or podman. Containers get no network. The exit code is 1 if anything does not hold. The standard library
is all it needs.
"""

import hashlib
import io
import subprocess
import sys
import uuid
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

#: A package that no index has.
PACKAGE, PACKAGE_VERSION = "penstock_smoke_package", "1.0"
#: With which it ends where a package cannot be had, however often that is tried.
NOT_TO_BE_HAD = 65

_FLOW = """
from penstock import flow, task

@task
def double(x):
    return 2 * x

@flow
def smoke():
    return double(21)

assert smoke() == 42
"""

_SIGNALS = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
sys.exit(42 if child.wait(15) == -signal.SIGTERM else 1)
"""


@dataclass(frozen=True)
class Smoke:
    """An image to be tried, with a volume for the time of the trial."""

    image: str
    program: str
    volume: str

    def run(
        self, *command: str, options: tuple[str, ...] = (), stdin: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        """A container without a network that runs the command; its output is taken."""
        line = [self.program, "run", "--rm", "--interactive", "--network", "none", *options, self.image, *command]
        return subprocess.run(line, input=stdin, capture_output=True, timeout=120, check=False)

    def names_its_version(self) -> None:
        said = _good(self.run("penstock", "--version")).decode().strip()
        label = '{{index .Config.Labels "org.opencontainers.image.version"}}'
        labelled = _good(_done(self.program, "image", "inspect", "--format", label, self.image)).decode().strip()
        assert said, "penstock --version said nothing"
        assert labelled in ("", "<no value>", said), f"the label says {labelled}, the command {said}"

    def is_not_root(self) -> None:
        user = (
            _good(_done(self.program, "image", "inspect", "--format", "{{.Config.User}}", self.image)).decode().strip()
        )
        assert user.partition(":")[0].isdigit(), f"platforms cannot tell from {user!r} that it is not root"
        assert _good(self.run("id", "-u")) != b"0\n"

    def starts_in_its_folder(self) -> None:
        assert _good(self.run("sh", "-c", "pwd && ls -d flows")) == b"/opt/penstock\nflows\n"

    def becomes_a_shell_without_a_command(self) -> None:
        done = self.run(stdin=b"echo shell $((1 + 1))\n")
        assert b"shell 2" in _good(done)
        assert b"penstock --help" in done.stderr

    def ends_as_its_command_ends(self) -> None:
        assert self.run("sh", "-c", "exit 7").returncode == 7

    def starts_where_nothing_can_be_written_to(self) -> None:
        done = self.run("id", "-u", options=("--read-only", "--user", "123456:123456"))
        assert _good(done) == b"123456\n"

    def passes_signals_on_to_all_processes(self) -> None:
        name = f"{self.volume}-signals"
        _good(
            _done(
                self.program,
                "run",
                "--detach",
                "--name",
                name,
                "--network",
                "none",
                self.image,
                "python",
                "-c",
                _SIGNALS,
            )
        )
        try:
            with subprocess.Popen([self.program, "logs", "--follow", name], stdout=subprocess.PIPE) as logs:
                assert logs.stdout is not None
                assert logs.stdout.readline() == b"ready\n"
                _good(_done(self.program, "stop", "--time", "20", name))
                logs.stdout.read()
            code = _good(_done(self.program, "inspect", "--format", "{{.State.ExitCode}}", name)).decode().strip()
            assert code == "42", f"it ended with {code}"
        finally:
            _done(self.program, "rm", "--force", name)

    def writes_into_a_volume(self) -> None:
        volume = ("--volume", f"{self.volume}:/opt/penstock/flows")
        _good(self.run("sh", "-c", f"cat > flows/{wheel_name()}", options=volume, stdin=wheel()))
        assert _good(self.run("ls", "flows", options=volume)).decode().split() == [wheel_name()]

    def installs_packages(self, *options: str) -> None:
        done = self._with_packages(f"/opt/penstock/flows/{wheel_name()}", *options)
        assert _good(done) == b"42\n", "standard output is the command's alone"
        assert b"+ " in done.stderr

    def names_a_package_that_cannot_be_installed(self) -> None:
        done = self._with_packages(
            "--no-index surely-no-such-package==1 --find-links https://user:secret@example.invalid/",
            "--env",
            "PIP_RETRIES=0",
        )
        assert done.returncode not in (0, NOT_TO_BE_HAD, 125, 126, 127), f"exit code {done.returncode}"
        assert "surely-no-such-package" in _last_line(done)
        assert b"secret" not in done.stderr, "the login is in the output"

    def tells_what_is_not_to_be_had(self) -> None:
        done = self._with_packages("--no-index surely-no-such-package==1")
        assert done.returncode == NOT_TO_BE_HAD, f"exit code {done.returncode}"
        assert _last_line(done).startswith(
            "penstock: EXTRA_PIP_PACKAGES: surely-no-such-package==1 cannot be installed"
        )

    def runs_a_flow(self) -> None:
        done = self.run("python", "-", stdin=_FLOW.encode())
        _good(done)
        assert b"Completed" in done.stderr, done.stderr.decode()

    def _with_packages(self, packages: str, *options: str) -> "subprocess.CompletedProcess[bytes]":
        options = (
            *options,
            "--env",
            f"EXTRA_PIP_PACKAGES={packages}",
            "--volume",
            f"{self.volume}:/opt/penstock/flows:ro",
        )
        return self.run("python", "-c", f"import {PACKAGE} as package; print(package.ANSWER)", options=options)


def checks(smoke: Smoke) -> dict[str, Callable[[], None]]:
    """Everything that is tried, in its order, by what it says of the image."""
    installs = smoke.installs_packages
    return {
        "it names its version": smoke.names_its_version,
        "its user is a number that is not root's": smoke.is_not_root,
        "it starts in /opt/penstock, with flows in it": smoke.starts_in_its_folder,
        "without a command it becomes a shell": smoke.becomes_a_shell_without_a_command,
        "it ends with the code of its command": smoke.ends_as_its_command_ends,
        "it starts where nothing can be written to": smoke.starts_where_nothing_can_be_written_to,
        "a stop reaches every process": smoke.passes_signals_on_to_all_processes,
        "it writes into a volume": smoke.writes_into_a_volume,
        "EXTRA_PIP_PACKAGES are there for the command": installs,
        "... also for a user of group 0 that the image does not know": partial(installs, "--user", "123456:0"),
        "... also for a user of no group of the image's": partial(installs, "--user", "123456:123456"),
        "... also where its files are read-only": partial(installs, "--read-only", "--tmpfs", "/tmp"),
        "a package that cannot be installed is named, and nothing is started": smoke.names_a_package_that_cannot_be_installed,
        "... and where no index would ever have it, its exit code says so": smoke.tells_what_is_not_to_be_had,
        "it runs a flow": smoke.runs_a_flow,
    }


def _done(*command: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)


def _good(done: "subprocess.CompletedProcess[bytes]") -> bytes:
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr.decode(errors='replace')[-800:]}"
    return done.stdout


def _last_line(done: "subprocess.CompletedProcess[bytes]") -> str:
    return done.stderr.decode(errors="replace").strip().splitlines()[-1]


def wheel_name() -> str:
    return f"{PACKAGE}-{PACKAGE_VERSION}-py3-none-any.whl"


def wheel() -> bytes:
    """A wheel with one module."""
    info = f"{PACKAGE}-{PACKAGE_VERSION}.dist-info"
    files = {
        f"{PACKAGE}.py": "ANSWER = 42\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {PACKAGE_VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: smoke\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{name},sha256={_digest(text)},{len(text)}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def _digest(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def main(image: str, program: str = "docker") -> int:
    """Prints a line for each check; returns the exit code."""
    failures = 0
    smoke = Smoke(image, program, f"penstock-smoke-{uuid.uuid4().hex[:12]}")
    try:
        for name, check in checks(smoke).items():
            try:
                check()
            except (AssertionError, subprocess.TimeoutExpired) as error:
                failures += 1
                print(f"FAILED  {name}: {error}", flush=True)
            else:
                print(f"ok      {name}", flush=True)
    finally:
        _done(program, "volume", "rm", "--force", smoke.volume)
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
