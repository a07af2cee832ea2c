"""A throw-away server for tests: a real process on a free port, with a home of its own."""

import os
import select
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from penstock.client.sync import SyncClient
from penstock.testing.ports import HeldPort
from penstock.testing.process import Child
from penstock.testing.zygote import ForkedServer, NoZygote, fork_server

#: Seconds that a server may take until it listens.
START_SECONDS = 180.0
#: Seconds that it gets to stop before it is killed.
STOP_SECONDS = 30.0


class TestServer:
    """One server. `api_url` ends in /api; `env` is a whole environment for children that shall speak to it."""

    __test__ = False  # not a test class, whatever pytest may think of its name

    def __init__(
        self,
        home: Path,
        env: Mapping[str, str] | None = None,
        database_url: str | None = None,
        *,
        forked: bool = True,
        temporary: bool = False,
    ) -> None:
        self.home = home
        # A launcher that a test's agent starts outlives it; its home is gone then, so it shall not stay for long.
        self.env = {**isolated_environment(home), "PENSTOCK_LAUNCHER_IDLE_SECONDS": "5", **(env or {})}
        if database_url is not None:
            self.env["PENSTOCK_API_DATABASE_CONNECTION_URL"] = database_url
        self.api_url = ""
        self.log = home / "server.log"
        self._forked, self._temporary = forked, temporary
        self._child: Child | ForkedServer | None = None
        self._port = HeldPort()

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def output(self) -> str:
        """What the server has written, over all its starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start it, on the port it had before if it had one; returns when it listens."""
        port = self._port_before()
        reading, writing = os.pipe()
        try:
            self._child = self._start(["--port", str(port)], writing)
            os.close(writing)
            writing = -1
            base = self._read_url(reading)
        finally:
            os.close(reading)
            if writing >= 0:
                os.close(writing)
        self.api_url = f"{base}/api"
        self.env["PENSTOCK_API_URL"] = self.api_url
        self._port.release()  # now it listens there itself

    def _start(self, arguments: list[str], announce: int) -> Child | ForkedServer:
        if self._forked:
            own_database = "PENSTOCK_API_DATABASE_CONNECTION_URL" not in self.env
            with suppress(NoZygote):
                return fork_server(
                    arguments,
                    self.env,
                    self.log,
                    announce,
                    database=self.home / "penstock.db" if own_database else None,
                    remove=self.home if self._temporary else None,
                )
        command = [sys.executable, "-m", "penstock.server", *arguments, "--ready-fd", str(announce)]
        return Child(command, self.env, self.log, pass_fds=[announce])

    def stop(self) -> None:
        """Stop it as an operator would: SIGTERM, and wait."""
        if self._child is not None:
            self._child.close(timeout=STOP_SECONDS)
        self._hold_port()

    def kill(self) -> None:
        """End it without warning: SIGKILL."""
        if self._child is not None:
            self._child.kill()
        self._hold_port()

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same port and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """After its end: it will not be started again."""
        self._port.release()

    def client(self) -> SyncClient:
        """A new client of this server."""
        return SyncClient(self.api_url, self.env.get("PENSTOCK_SERVER_API_KEY"))

    def _port_before(self) -> int:
        return urlsplit(self.api_url).port or 0 if self.api_url else 0

    def _hold_port(self) -> None:
        """Who is told to come back on its port shall find it free."""
        self._port.hold(self.env.get("PENSTOCK_SERVER_API_HOST") or "127.0.0.1", self._port_before())

    def _running(self) -> Child | ForkedServer:
        if self._child is None:
            raise AssertionError("the server was not started")
        return self._child

    def _read_url(self, reading: int) -> str:
        text = b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([reading], [], [], START_SECONDS)
            piece = os.read(reading, 4096) if ready else b""
            if not piece:
                child = self._running()
                what = "ended" if ready else f"did not listen within {START_SECONDS:g} s"
                child.kill()
                raise AssertionError(f"the server {what}. Its output:\n{self.output}")
            text += piece
        return text.decode().strip().rstrip("/")


@contextmanager
def server(
    *,
    env: Mapping[str, str] | None = None,
    database_url: str | None = None,
    home: Path | None = None,
    forked: bool = True,
) -> Iterator[TestServer]:
    """A server that runs within the block and is gone, with its home, after it.

    `env` adds to its environment, `database_url` replaces its SQLite file; a `home` that is given is kept. `forked`:
    whether it may be a fork of a process that has loaded the server's code already, which is ready much sooner; False
    starts an interpreter of its own.
    """
    folder = home or Path(tempfile.mkdtemp(prefix="penstock-test-"))
    running = TestServer(folder, env, database_url, forked=forked, temporary=home is None)
    try:
        running.start()
        yield running
    finally:
        if home is None:
            running.kill()  # nobody will ever read what it could still write
            shutil.rmtree(folder, ignore_errors=True)
        else:
            running.stop()
        running.close()


def isolated_environment(home: Path) -> dict[str, str]:
    """This process's environment without any setting of Penstock, but with `home`."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK_")}
    env["PENSTOCK_HOME"] = str(home)
    return env
