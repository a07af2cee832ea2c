"""A server, and programs that a person types into: over a pseudo-terminal, or as the kernel of a notebook."""

import importlib
import os
import signal
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.testing import server, wait_until

#: Seconds that any answer may take.
PATIENCE = 120


def needed(module: str) -> Any:
    """The module. On a machine without it the tests are skipped; in CI that is a failure."""
    try:
        return importlib.import_module(module)
    except ImportError:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{module} is not installed, and CI tests terminals and notebooks")
        pytest.skip(f"{module} is not installed")


class Terminal:
    """A program on a terminal."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: Path, prompt: str) -> None:
        self.prompt = prompt
        self.child = needed("pexpect").spawn(
            command[0], command[1:], env=env, cwd=str(cwd), timeout=PATIENCE, encoding="utf-8", dimensions=(50, 200)
        )
        self.child.delaybeforesend = None

    def expect(self, text: str) -> str:
        """Wait for `text`; returns what came before it."""
        self.child.expect_exact(text)
        return str(self.child.before)

    def type(self, line: str) -> str:
        """Type one line and wait for the next prompt; returns what came."""
        self.child.sendline(line)
        return self.expect(self.prompt)

    def send(self, line: str) -> None:
        self.child.sendline(line)

    def ctrl_c(self) -> None:
        self.child.sendintr()

    def close(self) -> None:
        # by hand: what pexpect itself does by force has to be over within a tenth of a second
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        self.child.close()


class Notebook:
    """A kernel, and what its cells have answered."""

    def __init__(self, env: dict[str, str], cwd: Path) -> None:
        needed("ipykernel")
        # sockets in a folder: free ports could be somebody else's by the time that the kernel has begun
        self.sockets = tempfile.TemporaryDirectory()
        self.manager = needed("jupyter_client.manager").KernelManager(
            kernel_name="python3", transport="ipc", ip=f"{self.sockets.name}/kernel"
        )
        self.manager.kernel_spec.argv[0] = sys.executable
        self.manager.start_kernel(env=env, cwd=str(cwd))
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def start(self, cell: str) -> str:
        found: str = self.client.execute(textwrap.dedent(cell))
        return found

    def answer(self, cell_id: str) -> dict[str, str]:
        """All that the cell has brought: its `result`, `stdout`, `stderr`, and `error` with its traceback."""
        found = {"result": "", "stdout": "", "stderr": "", "error": "", "name": ""}
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != cell_id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return found
            if kind == "stream":
                found[content["name"]] += content["text"]
            elif kind == "execute_result":
                found["result"] = content["data"]["text/plain"]
            elif kind == "error":
                found["error"], found["name"] = "\n".join(content["traceback"]), content["ename"]

    def run(self, cell: str) -> dict[str, str]:
        return self.answer(self.start(cell))

    def wait_for_output(self, cell_id: str, text: str) -> None:
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == cell_id and text in message["content"].get("text", ""):
                return

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.sockets.cleanup()


class Place:
    """One server, and a folder for programs."""

    def __init__(self, running: Any, folder: Path) -> None:
        self.server, self.folder = running, folder
        self.client = running.client()
        folder.mkdir(exist_ok=True)
        self.env = {**running.env, "TERM": "dumb", "PYTHON_COLORS": "0", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        self.env["IPYTHONDIR"] = self.env["JUPYTER_CONFIG_DIR"] = str(folder / "ipython")
        self.env["JUPYTER_RUNTIME_DIR"] = str(folder / "jupyter")
        self.env["JUPYTER_PLATFORM_DIRS"] = "1"

    @contextmanager
    def terminal(self, *command: str, prompt: str = ">>> ") -> Iterator[Terminal]:
        terminal = Terminal([sys.executable, *command], self.env, self.folder, prompt)
        try:
            yield terminal
        finally:
            terminal.close()

    def file(self, name: str, source: str) -> str:
        path = self.folder / name
        path.write_text(textwrap.dedent(source))
        return str(path)

    def runs(self, flow_name: str) -> list[Any]:
        """All runs of the flow, oldest first."""
        only = {"name": {"any_": [flow_name]}}
        return sorted(self.client.read_flow_runs(flow_filter=only), key=lambda run: run.created)

    def states(self, flow_name: str) -> list[str]:
        return [str(run.state_name) for run in self.runs(flow_name)]

    def wait_for_states(self, flow_name: str, *states: str) -> None:
        wait_until(lambda: self.states(flow_name) == list(states), PATIENCE, f"{flow_name} is {states}")


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with server() as running:
        made = Place(running, tmp_path_factory.mktemp("interactive"))
        yield made
        made.client.close()


@pytest.fixture(scope="module")
def notebook(place: Place) -> Iterator[Notebook]:
    made = Notebook(place.env, place.folder)
    yield made
    made.close()
