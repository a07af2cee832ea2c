"""A machine with a client of Prefect 2 on it. Each of its commands is a process of its own, forked from one that has the client loaded."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

BIN = Path(__file__).parents[3] / ".venv-prefect2" / "bin"

#: Loading the client takes four seconds, and most tests use several commands. What is asked for comes line by line.
_MOTHER = """
import gc, json, os, runpy, sys, threading
import prefect, prefect.agent, prefect.artifacts, prefect.cli, prefect.deployments, prefect.engine, prefect.infrastructure

assert threading.active_count() == 1, "a fork would lose the other threads"
gc.freeze()  # what a collection in a child would touch would be copied
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()

output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
for number in (1, 2):
    os.dup2(output, number)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.chdir(asked["folder"])
sys.argv = asked["command"]
if asked["command"][0] == "prefect":
    prefect.cli.app()
elif asked["command"][1] == "-c":
    exec(asked["command"][2], {"__name__": "__main__"})
else:
    sys.argv = asked["command"][1:]
    sys.path.insert(0, asked["folder"])
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Prefect2Machine:
    """Runs `prefect …`, `python FILE` and `python -c CODE`."""

    def __init__(self, mother: "subprocess.Popen[str]") -> None:
        self._mother = mother

    def run(self, *command: str, folder: Path) -> str:
        """What the command writes; it has to end well."""
        output = folder / "output"
        assert self._mother.stdin is not None
        self._mother.stdin.write(json.dumps({"command": command, "folder": str(folder), "output": str(output)}) + "\n")
        self._mother.stdin.flush()
        code = _line(self._mother)
        assert code == "0", f"{' '.join(command)} ended with {code}:\n{output.read_text()}"
        return output.read_text()


@contextmanager
def prefect2_machine(api_url: str, home: Path) -> Iterator[Prefect2Machine]:
    """One that speaks to `api_url` and keeps in `home` what it keeps."""
    env: Mapping[str, str] = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "PREFECT_"))},
        "PREFECT_API_URL": api_url,
        "PREFECT_HOME": str(home),
        "NO_COLOR": "1",
    }
    with subprocess.Popen(
        [BIN / "python", "-c", _MOTHER], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as mother:
        assert _line(mother) == "ready"
        yield Prefect2Machine(mother)
        assert mother.stdin is not None
        mother.stdin.close()


def _line(mother: "subprocess.Popen[str]") -> str:
    assert mother.stdout is not None
    return mother.stdout.readline().strip()
