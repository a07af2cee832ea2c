"""Processes that a command starts and stops itself: their output line by line, readiness, a polite end."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from penstock.cli import processes
from penstock.errors import PenstockError

#: Seconds between the polite stop of a child and the forced one.
GRACE = 15.0


class Child:
    """One child in a session of its own, so that Ctrl-C reaches it through us only.

    `tell` gets each line of its stdout and stderr. With `ready`, --ready-fd is added to its arguments and `wait_ready`
    returns what it writes there. With `bound`, --life-fd is, by which it learns that we are gone, however we ended.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        tell: Callable[[str], None],
        *,
        ready: bool = False,
        bound: bool = False,
    ) -> None:
        self.module = module
        self._lines: list[str] = []
        self._tell = tell
        self._ready: int | None = None
        self._life: int | None = None
        arguments = list(arguments)
        passed: list[int] = []
        if ready:
            self._ready, writing = os.pipe()
            arguments += ["--ready-fd", str(writing)]
            passed.append(writing)
        if bound:
            life, self._life = os.pipe()
            arguments += ["--life-fd", str(life)]
            passed.append(life)
        self._process = subprocess.Popen(
            processes.module_command(module, arguments),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=passed,
        )
        for descriptor in passed:
            os.close(descriptor)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines = [*self._lines[-19:], line.rstrip("\n")]
            self._tell(line.rstrip("\n"))

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    def wait_ready(self, timeout: float) -> str:
        """What the child wrote to --ready-fd. Raises PenstockError if it ended before, or is not ready in time."""
        assert self._ready is not None
        text, deadline = b"", time.monotonic() + timeout
        try:
            while not text.endswith(b"\n"):
                able, _, _ = select.select([self._ready], [], [], max(0.0, deadline - time.monotonic()))
                piece = os.read(self._ready, 4096) if able else b""
                if not piece:
                    raise self.failure("ended before it was ready" if able else f"was not ready in {timeout:g} s")
                text += piece
        finally:
            os.close(self._ready)
            self._ready = None
        return text.decode().strip()

    def failure(self, what: str) -> PenstockError:
        """An error that says what happened to the child, with its last lines."""
        self._reader.join(timeout=1)
        last = "\n".join(f"  {line}" for line in self._lines[-10:])
        return PenstockError(f"{self.module} {what}." + (f" Its last lines:\n{last}" if last else ""))

    def stop(self, grace: float = GRACE) -> bool:
        """SIGTERM, after `grace` seconds SIGKILL; returns when it is gone. Ctrl-C meanwhile does not wait any longer.

        Returns whether it has left by itself.
        """
        left = True
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(grace)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            left = False
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=2)
        if self._process.stdout is not None:
            self._process.stdout.close()
        for descriptor in (self._ready, self._life):
            if descriptor is not None:
                os.close(descriptor)
        self._ready = self._life = None
        return left


def prefixed(title: str, width: int, colour: str | None) -> Callable[[str], None]:
    """A `tell` that writes lines to stderr behind `title`."""
    head = f"{title.ljust(width)} | "
    if colour is not None:
        head = f"\x1b[{colour}m{head}\x1b[0m"

    def tell(line: str) -> None:
        sys.stderr.write(f"{head}{line}\n")
        sys.stderr.flush()

    return tell
