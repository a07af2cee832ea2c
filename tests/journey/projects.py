"""A folder with a project of somebody's, and commands of `penstock` that are typed in it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FLOWS = '''
import os, pathlib, sys, time
from penstock import flow, task
from beside import greeting


@task
def read(name: str) -> str:
    return (pathlib.Path(__file__).parent / name).read_text().strip()


@flow(log_prints=True)
def hello(name: str = "world"):
    """Says hello, with a module and a data file that lie beside it."""
    print(greeting(name), read("data/who.txt"))
    print("in a container:", pathlib.Path("/.dockerenv").exists(), os.environ.get("LEVEL"))


@flow(persist_result=True, result_storage="s3/results")
def kept(name: str = "world") -> str:
    return greeting(name) + " " + read("data/who.txt")


@flow
def fails():
    raise ValueError("no good")


@flow
def crashes():
    print("about to die", flush=True)
    os._exit(3)


@flow
def waits():
    print("it waits and waits")
    while True:
        time.sleep(0.02)
'''


class Project:
    """Flows with a module and a data file beside them."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder, self.env = folder, dict(env)
        folder.mkdir(exist_ok=True)
        (folder / "flows.py").write_text(FLOWS)
        (folder / "beside.py").write_text("def greeting(name):\n    return f'hello {name}, says'\n")
        (folder / "data").mkdir()
        (folder / "data" / "who.txt").write_text("a file\n")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "penstock.cli", *arguments]

    def __call__(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run `penstock ARGUMENTS` in the folder to its end."""
        done = subprocess.run(
            self.command(*arguments),
            env={**self.env, **env},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert "Traceback (most recent call last)" not in done.stderr, done.stderr
        return done

    def ok(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The same, and it has to work."""
        done = self(*arguments)
        assert done.returncode == 0, done
        return done
