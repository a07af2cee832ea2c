from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_process import FLOWS, Terminal

from penstock.testing import TestServer, server

#: An agent that is there counts as there, however long it or the server says nothing.
PATIENT = {"PENSTOCK_AGENT_LEASE_SECONDS": "180"}


@pytest.fixture(scope="module")
def running() -> Iterator[TestServer]:
    with server(env=PATIENT) as found:
        yield found


@pytest.fixture
def terminal(running: TestServer, tmp_path: Path) -> Terminal:
    """A terminal in a folder with the file flows.py, whose settings point at the server."""
    (tmp_path / "flows.py").write_text(FLOWS)
    return Terminal(running.env, tmp_path)
