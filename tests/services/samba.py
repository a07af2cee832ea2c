"""A throw-away Samba server for tests, from the smbd that is installed on this machine.

It listens on a free port of loopback, keeps everything in a temporary folder, knows one user (the one that runs the tests, with
a password of its own), and is gone when the block ends. It is a child of the tests: the machine's own service is not touched.
"""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from penstock.testing import wait_until
from penstock.testing.ports import HeldPort

#: Where Debian puts it; an ordinary user's PATH may lack that.
_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin"

_CONFIG = """
[global]
server role = standalone server
interfaces = 127.0.0.1/8
bind interfaces only = yes
smb ports = {port}
disable netbios = yes
disable spoolss = yes
load printers = no
map to guest = never
passdb backend = tdbsam:{folder}/passdb.tdb
private dir = {folder}/private
state directory = {folder}/state
cache directory = {folder}/cache
lock directory = {folder}/lock
pid directory = {folder}/pid
ncalrpc dir = {folder}/ncalrpc
log file = {folder}/log
logging = file
[flows]
path = {folder}/flows
read only = no
[closed]
path = {folder}/closed
read only = yes
{owner}
"""


@dataclass
class Server:
    """A server with the shares `flows`, which may be written, and `closed`, which may not; `folder` holds both."""

    folder: Path
    port: int
    username: str
    password: str = field(repr=False)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Returns when it answers."""
        command = [str(find_smbd()), "--foreground", "--no-process-group", "-s", str(self.folder / "smb.conf")]
        with (self.folder / "output").open("ab") as output:
            # in a group of its own: where it ends, smbd ends its whole group
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        wait_until(self._answers, timeout=120, message="smbd did not start")

    def stop(self) -> None:
        """Takes its connections along."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(120)

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"smbd ended: {(self.folder / 'output').read_text()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 30).close()
        except OSError:
            return False
        return True


def find_smbd() -> str | None:
    """The path of smbd, or None."""
    return shutil.which("smbd", path=_PATH)


@contextmanager
def samba(password: str) -> Iterator[Server]:
    """A running server. Raises FileNotFoundError if Samba is not installed."""
    if find_smbd() is None:
        raise FileNotFoundError("Samba is not installed: there is no smbd")
    folder = Path(tempfile.mkdtemp(prefix="penstock-smb-"))
    held = HeldPort()
    server = Server(folder, held.take("127.0.0.1"), getpass.getuser(), password)
    try:
        for name in ("private", "state", "cache", "lock", "pid", "ncalrpc", "flows", "closed"):
            (folder / name).mkdir()
        folder.chmod(0o755)
        # to root nothing is closed
        owner = "force user = nobody" if os.getuid() == 0 else ""
        (folder / "smb.conf").write_text(_CONFIG.format(port=server.port, folder=folder, owner=owner))
        done = subprocess.run(
            [
                str(shutil.which("smbpasswd", path=_PATH)),
                "-c",
                str(folder / "smb.conf"),
                "-L",
                "-s",
                "-a",
                server.username,
            ],
            input=f"{password}\n{password}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"smbpasswd failed: {done.stderr or done.stdout}")
        server.start()
        yield server
    finally:
        server.stop()
        held.release()
        shutil.rmtree(folder, ignore_errors=True)
