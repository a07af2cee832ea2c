"""A child process of a test: its output in a file, its end certain."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from penstock.testing.wait import wait_until


class Child:
    """Runs `command`; standard output and error go to `log`, one after the other in one file."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path, pass_fds: Sequence[int] = ()) -> None:
        self.command, self.log = list(command), log
        with open(log, "ab") as file:
            self._process = subprocess.Popen(
                command, env=dict(env), stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=pass_fds
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code, minus the signal's number if it was killed by one, None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), without waiting."""
        self.signal(signal.SIGTERM)

    def wait(self, timeout: float = 120) -> int:
        """Its exit code. Raises AssertionError with its output if it still runs after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            name = " ".join(self.command)
            raise AssertionError(f"{name} still runs after {timeout:g} s. Its output:\n{self.output}") from None

    def wait_for_output(self, text: str, timeout: float = 120) -> None:
        """Return when its output contains `text`; an end without it is an AssertionError."""

        def seen() -> bool:
            ended = not self.running
            if text in self.output:
                return True
            assert not ended, f"it ended with {self.returncode} without saying {text!r}. Its output:\n{self.output}"
            return False

        wait_until(seen, timeout, f"{text!r} in the output of {' '.join(self.command)}")

    def close(self, timeout: float = 5) -> None:
        """SIGTERM, then SIGKILL after `timeout` seconds."""
        self.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
