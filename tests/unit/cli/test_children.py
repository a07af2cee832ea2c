"""Processes that a command brings along."""

import os
from pathlib import Path

import pytest

from penstock.cli.children import Child

STAYS = """
import os, signal, sys, time
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(int(sys.argv[sys.argv.index("--ready-fd") + 1]), b"here\\n")
time.sleep(600)
"""


@pytest.mark.parametrize(("how", "left"), [("polite", True), ("deaf", False)])
def test_a_child_says_whether_it_left_by_itself(tmp_path: Path, how: str, left: bool) -> None:
    (tmp_path / "stays.py").write_text(STAYS)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    child = Child("stays", [how], environ, lambda line: None, ready=True)
    assert child.wait_ready(150) == "here"
    assert child.stop(150 if left else 0.1) is left
    assert not child.running
