from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_process import Terminal

from penstock.testing import TestServer, server

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


@pytest.fixture(scope="module")
def running() -> Iterator[TestServer]:
    with server() as found:
        yield found


@pytest.fixture
def terminal(running: TestServer, tmp_path: Path) -> Terminal:
    """A terminal in a folder with the file flows.py, whose settings point at the server."""
    (tmp_path / "flows.py").write_text(FLOWS)
    return Terminal(running.env, tmp_path)
