"""Where the time goes: of a start (by import), and of a flow with many tasks (by function)."""

import cProfile
import io
import pstats
import re
import subprocess
import sys
import tempfile

from bench import programs
from bench.figures import _program
from bench.measure import environment
from penstock import testing


def report() -> None:
    with tempfile.TemporaryDirectory() as folder, testing.server() as server:
        print("\nimports of python trivial_flow.py, cumulative, from 5 ms:")
        path = _program(folder, "trivial.py", programs.TRIVIAL, "penstock")
        result = subprocess.run(
            [sys.executable, "-X", "importtime", path],
            env=environment(server.env),
            capture_output=True,
            text=True,
            check=True,
        )
        for line in result.stderr.splitlines():
            found = re.match(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)", line)
            if found and int(found[2]) >= 5000:
                print(f"{int(found[2]) / 1000:8.1f} ms  {found[3][1:]}{found[4]}")
        print("\n2,000 tasks in sequence, by own time:")
        path = _program(folder, "tasks.py", programs.TASKS, "penstock")
        out = f"{folder}/profile"
        subprocess.run(
            [sys.executable, "-m", cProfile.__name__, "-o", out, path, "sequence", "2000"],
            env=environment(server.env),
            capture_output=True,
            check=True,
        )
        text = io.StringIO()
        pstats.Stats(out, stream=text).sort_stats("tottime").print_stats(15)
        print("\n".join(line for line in text.getvalue().splitlines()[6:] if line.strip()))
