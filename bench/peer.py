"""The peer: another system from PyPI in an environment of its own, measured with the same programs."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import environment


@dataclass(frozen=True)
class Peer:
    requirement: str
    python: str

    @property
    def name(self) -> str:
        return self.requirement.split()[0].replace("==", " ")

    def program(self, name: str) -> str:
        return str(Path(self.python).parent / name)


def install(requirement: str) -> Peer:
    """Install it once into the cache folder. `requirement`: what to install, the peer itself first."""
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        / "penstock-bench"
        / requirement.replace("=", "-").replace(" ", "-")
    )
    python = cache / "bin" / "python"
    if not (cache / "ready").exists():
        print(f"installing {requirement} ...", file=sys.stderr)
        venv.create(cache, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirement.split()], check=True, env=environment())
        (cache / "ready").touch()
    return Peer(requirement, str(python))


@contextlib.contextmanager
def server(peer: Peer) -> Iterator[dict[str, str]]:
    """The peer's server on a free port; yields the environment of its clients."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        env = {
            "PREFECT_HOME": home,
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        process = subprocess.Popen(
            [peer.program("prefect"), "server", "start", "--port", str(port)],
            env=environment(env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 120
            while True:
                with (
                    contextlib.suppress(OSError),
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2),
                ):
                    break
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{peer.name}: its server did not start within 120 s")
                time.sleep(0.2)
            yield env
        finally:
            process.terminate()
            process.wait(30)
