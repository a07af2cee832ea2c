"""A throw-away OpenSSH server for tests, from the sshd that is installed on this machine.

It listens on a free port of loopback with a host key of its own, lets in the user that runs the tests with one key, gives files
over SFTP, and is gone when the block ends. It is a child of the tests: the machine's own service is not touched.
"""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock.testing import wait_until
from penstock.testing.ports import HeldPort

_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin"

_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
MaxStartups 100
Subsystem sftp internal-sftp
"""


@dataclass
class Server:
    """A server; `files` is an empty folder for what is stored. `private_key` is the text of the key that it lets in."""

    folder: Path
    port: int
    username: str
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def key_file(self) -> Path:
        return self.folder / "user_key"

    @property
    def private_key(self) -> str:
        return self.key_file.read_text()

    @property
    def host_key(self) -> str:
        """As in a file of known hosts, without the host."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    def make_key(self, name: str, passphrase: str = "") -> Path:
        """A new key in the server's folder, which it does not let in."""
        path = self.folder / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return path

    def start(self) -> None:
        """Returns when it answers."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where its unprivileged part runs
        command = [str(find_sshd()), "-D", "-e", "-f", str(self.folder / "config")]
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        wait_until(self._answers, timeout=120, message="sshd did not start")

    def stop(self) -> None:
        """Takes its connections along."""
        if self.process is not None:
            import psutil

            # a connection is a child of its own, which goes on without the server
            children = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
            self.process.terminate()
            self.process.wait(120)
            for child in children:
                if child.is_running():
                    child.kill()

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"sshd ended: {(self.folder / 'output').read_text()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 30).close()
        except OSError:
            return False
        return True


def find_sshd() -> str | None:
    """The path of sshd, which has to be called by its whole path; or None."""
    return shutil.which("sshd", path=_PATH)


@contextmanager
def sshd() -> Iterator[Server]:
    """A running server. Raises FileNotFoundError if OpenSSH's server is not installed."""
    if find_sshd() is None:
        raise FileNotFoundError("OpenSSH's server is not installed: there is no sshd")
    folder = Path(tempfile.mkdtemp(prefix="penstock-ssh-"))
    held = HeldPort()
    server = Server(folder, held.take("127.0.0.1"), getpass.getuser())
    try:
        server.files.mkdir()
        server.make_key("host_key")
        (folder / "authorized_keys").write_text(server.make_key("user_key").with_suffix(".pub").read_text())
        (folder / "config").write_text(_CONFIG.format(port=server.port, folder=folder))
        server.start()
        yield server
    finally:
        server.stop()
        held.release()
        shutil.rmtree(folder, ignore_errors=True)
