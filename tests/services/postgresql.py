"""A throw-away PostgreSQL cluster for tests, from the PostgreSQL that is installed on this machine.

It listens on a free port of loopback, keeps its data in a temporary folder, and is gone when the block ends. As root it runs as user
`postgres`, because PostgreSQL refuses to run as root.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from penstock.testing.ports import HeldPort

#: Settings for data that nobody will miss.
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "on",
}


def find_binaries() -> Path | None:
    """The folder with initdb and pg_ctl of the newest PostgreSQL on this machine, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name.split(".")[0]))
    on_path = shutil.which("initdb")
    candidates = [*reversed(debian), *([Path(on_path).parent] if on_path else [])]
    return next((path for path in candidates if (path / "initdb").exists() and (path / "pg_ctl").exists()), None)


@dataclass(frozen=True)
class Cluster:
    """`url` names the maintenance database."""

    port: int

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self.url_of(name)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster. Raises FileNotFoundError if PostgreSQL is not installed."""
    binaries = find_binaries()
    if binaries is None:
        raise FileNotFoundError("PostgreSQL is not installed: neither /usr/lib/postgresql/*/bin nor initdb on PATH")
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="penstock-pg-"))
    if user is not None:
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    held = HeldPort()
    data, port = folder / "data", held.take("127.0.0.1")

    def run(*command: str) -> None:
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {done.stderr or done.stdout}")

    options = " ".join(f"-c {key}={value}" for key, value in _FAST.items())
    try:
        run(
            str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
        )
        settings = f"-p {port} -h 127.0.0.1 -k {folder} {options}"
        # -l: without a log of its own the server would keep our pipes open
        run(
            str(binaries / "pg_ctl"),
            "-D",
            str(data),
            "-w",
            "-t",
            "200",
            "-l",
            str(folder / "log"),
            "-o",
            settings,
            "start",
        )
        try:
            yield Cluster(port)
        finally:
            run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-t", "200", "-m", "immediate", "stop")
    finally:
        held.release()
        shutil.rmtree(folder, ignore_errors=True)
