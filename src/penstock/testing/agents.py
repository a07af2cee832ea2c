"""A throw-away agent for tests."""

import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from penstock.testing.process import Child
from penstock.testing.servers import TestServer

_numbers = itertools.count(1)


class TestAgent:
    """One agent of a test server, as a process of its own."""

    __test__ = False  # not a test class, whatever pytest may think of its name

    def __init__(
        self,
        server: TestServer,
        args: tuple[str, ...],
        env: Mapping[str, str] | None = None,
        fake_platform: Path | None = None,
    ) -> None:
        self.args, self.env = args, {**server.env, **(env or {})}
        program = (
            ["penstock.testing.fakes", str(fake_platform), "penstock.agent"] if fake_platform else ["penstock.agent"]
        )
        self._command = [sys.executable, "-m", *program, *args]
        self.log = server.home / f"agent-{next(_numbers)}.log"
        self._child = self._start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def returncode(self) -> int | None:
        return self._child.returncode

    @property
    def output(self) -> str:
        """What it has written, over all its starts."""
        return self._child.output

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._child.kill()

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self._child.terminate()

    def wait(self, timeout: float = 120) -> int:
        return self._child.wait(timeout)

    def wait_for_output(self, text: str, timeout: float = 120) -> None:
        self._child.wait_for_output(text, timeout)

    def restart(self) -> None:
        """Stop it if it runs, and start it again with the same arguments."""
        self.close()
        self._child = self._start()

    def close(self) -> None:
        self._child.close(timeout=10)

    def _start(self) -> Child:
        return Child(self._command, self.env, self.log)


@contextmanager
def agent(
    server: TestServer, *args: str, env: Mapping[str, str] | None = None, fake_platform: Path | None = None
) -> Iterator[TestAgent]:
    """An agent that runs within the block: ``python -m penstock.agent ARGS`` in the server's environment plus `env`.

    With a folder for `fake_platform`, it can run jobs of the type "fake" as well, see `penstock.testing.fakes`.
    """
    running = TestAgent(server, args, env, fake_platform)
    try:
        yield running
    finally:
        running.close()
