from collections.abc import Iterator

import pytest
from client_scripted_server import ScriptedServer


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A server that answers by script."""
    server = ScriptedServer()
    yield server
    server.close()
