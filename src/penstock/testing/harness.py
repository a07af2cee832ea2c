"""A throw-away server for the flows that a test calls in its own process."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from penstock.testing.servers import TestServer, server

_PREFIX = "PENSTOCK_"


@contextmanager
def penstock_test_harness() -> Iterator[TestServer]:
    """Within the block, flows of this process run against an empty server of their own, whatever is configured.

    Settings and profiles of the machine are out of sight, and back afterwards; the server and all that it kept are gone
    then, also if this process is killed. Blocks nest; processes do not share one. Settings are those of the whole
    process: threads that ran before the block see it too.
    """
    with server() as running, _settings(running):
        yield running


@contextmanager
def _settings(running: TestServer) -> Iterator[None]:
    before = _ours(os.environ)
    _replace({name: running.env[name] for name in ("PENSTOCK_HOME", "PENSTOCK_API_URL")})
    try:
        yield
    finally:
        _replace(before)


def _ours(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_PREFIX)}


def _replace(settings: Mapping[str, str]) -> None:
    for name in _ours(os.environ):
        if name not in settings:
            del os.environ[name]
    os.environ.update(settings)
