"""A command line in this process: arguments in, exit code and both streams out."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_said import Said

from penstock.cli.main import main


@pytest.fixture
def penstock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Runs `penstock ARGS` with a home of its own and no other setting."""
    for name in list(os.environ):
        if name.startswith("PENSTOCK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    # Commands may set it for what they start: it must not outlive the test.
    monkeypatch.setenv("PENSTOCK_PROFILE", "")

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = main(list(arguments))
        streams = capsys.readouterr()
        return Said(code, streams.out, streams.err)

    return run
