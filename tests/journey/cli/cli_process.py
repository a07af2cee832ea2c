"""The command line as a process of its own."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

from penstock.cli.main import main
from penstock.client import agents
from penstock.testing import TestAgent, TestServer, agent, wait_until

#: Flows for the stories: one that works, one that fails, one that crashes, one that waits for a file.
FLOWS = '''
import os, pathlib, time
from penstock import flow, get_run_logger, task


@task
def add(a: int, b: int) -> int:
    get_run_logger().info("adding")
    return a + b


@flow
def hello(name: str = "world", times: int = 1):
    """Says hello."""
    for _ in range(times):
        get_run_logger().info("hello %s", name)
    print("the sum is", add(1, 2))


@flow
def fails():
    raise ValueError("no good")


@flow
def crashes():
    print("about to die", flush=True)
    os._exit(3)


@flow
def waits(path: str):
    get_run_logger().info("waiting")
    while not pathlib.Path(path).exists():
        time.sleep(0.02)
'''


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal:
    """Runs commands in one folder with one environment."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.env, self.folder = dict(env), folder

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 240) -> Ended:
        """Run `penstock ARGUMENTS` to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "penstock.cli", *arguments],
            env=self.env,
            cwd=self.folder,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, stdin: str | None = None) -> Ended:
        """The same, and it has to work."""
        done = self(*arguments, stdin=stdin)
        assert done.code == 0, done
        return done

    def start(self, *arguments: str) -> "Started":
        """Start `penstock ARGUMENTS` and leave it running."""
        return Started(self, arguments)


class SameProcess(Terminal):
    """Runs commands in this process, which is many times faster: for many commands whose process is not the point."""

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 240) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        # The flows of a file are to be loaded anew, as in a process of its own.
        modules, path = set(sys.modules), list(sys.path)
        with (
            mock.patch.dict(os.environ, self.env, clear=True),
            mock.patch("sys.stdin", io.StringIO(stdin or "")),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                code = main(list(arguments))
            finally:
                sys.path[:] = path
                for name in set(sys.modules) - modules:
                    if str(getattr(sys.modules[name], "__file__", None)).startswith(str(self.folder)):
                        del sys.modules[name]
        assert "Traceback" not in err.getvalue(), err.getvalue()
        return Ended(code, out.getvalue(), err.getvalue())


class Started:
    """A command that runs. Its two streams go to one file each."""

    def __init__(self, terminal: Terminal, arguments: tuple[str, ...]) -> None:
        self._out, self._err = terminal.folder / "started.out", terminal.folder / "started.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "penstock.cli", *arguments],
                env=terminal.env,
                cwd=terminal.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def wait_for(self, text: str, timeout: float = 120) -> None:
        """Return when the command has written `text` to either stream."""

        def there() -> bool:
            if text in self.out + self.err:
                return True
            assert self._process.poll() is None, f"it ended without saying {text!r}:\n{self.out}\n{self.err}"
            return False

        wait_until(there, timeout, f"{text!r} in {self.err}")

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.send(signal.SIGINT)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """A signal for the command alone."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 120) -> int:
        return self._process.wait(timeout)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def known_agent(running: TestServer, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[TestAgent]:
    """An agent that the server has heard of: nobody is told any more that no agent is there."""
    if "--name" not in arguments:
        arguments = (*arguments, "--name", f"agent-{uuid4().hex[:8]}")
    name = arguments[arguments.index("--name") + 1]
    with running.client() as client:

        def is_known() -> bool:
            return any(known.name == name for known in client.send(agents.read_agents(limit=200)))

        with agent(running, *arguments, env=env) as found:
            try:
                wait_until(is_known, 240, "the server has heard of the agent", interval=0.1)
            except AssertionError as error:
                raise AssertionError(f"{error}. Its output:\n{found.output}") from None
            yield found
