"""The local server that is there when no API is configured: one for each PENSTOCK_HOME, started when needed.

Whoever needs it first starts it, detached, so that it outlives its starter; all others find it by its state file. It
leaves by itself when nobody has used it for a while.
"""

import http.client
import json
import os
import select
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from penstock import clock, settings
from penstock.errors import Unreachable
from penstock.file_locks import locked
from penstock.version import __version__

#: Seconds that a local server may take until it listens.
START_SECONDS = 60.0
#: Seconds within which a local server says that it is well.
HEALTH_SECONDS = 5.0
#: The last lines of its log that are shown when it does not come up.
SHOWN_LINES = 15

#: The servers that this process has found to be well, by home. Whoever meets a refused connection forgets its own.
_known: dict[Path, str] = {}
#: Servers that this process has started: the kernel keeps their remains until somebody asks.
_started: list[int] = []


@dataclass(frozen=True)
class Address:
    """What the state file says: where the server is, and who started which."""

    api_url: str
    pid: int
    version: str


def ensure_server() -> str:
    """The URL of the local server's API; it is started first if it does not run.

    Any number of processes may ask at once: one of them starts it. Raises Unreachable, with the end of the server's
    log, if it does not come up.
    """
    home = settings.home().resolve()
    if home in _known:
        return _known[home]
    found = _living(home) or _start_or_wait(home)
    _known[home] = found.api_url
    return found.api_url


def forget(api_url: str) -> None:
    """Somebody could not reach `api_url`: the next question looks anew."""
    for home in [home for home, known in _known.items() if known == api_url]:
        del _known[home]


def log_path(home: Path) -> Path:
    return home / "ephemeral.log"


def _state_path(home: Path) -> Path:
    return home / "ephemeral.json"


def _start_or_wait(home: Path) -> Address:
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / "ephemeral.lock"):
        # Whoever held the lock before us has most likely started it.
        found = _living(home)
        if found is None:
            found = _start(home)
            _write_state(home, found)
        return found


def _living(home: Path) -> Address | None:
    """The server that the state file names, if it answers."""
    try:
        address = Address(**json.loads(_state_path(home).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return address if _exists(address.pid) and _is_well(address.api_url) else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_well(api_url: str) -> bool:
    parts = urlsplit(api_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=HEALTH_SECONDS)
    try:
        connection.request("GET", f"{parts.path}/health")
        response = connection.getresponse()
        return response.status == 200 and response.read() == b"true"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _write_state(home: Path, address: Address) -> None:
    path = _state_path(home)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(asdict(address)))
    fresh.replace(path)


def _start(home: Path) -> Address:
    _collect_remains()
    reading, writing = os.pipe()
    log = os.open(log_path(home), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    # For this machine only, whatever is set for servers that somebody starts on purpose.
    options = ["--host", "127.0.0.1", "--port", "0", "--ephemeral", "--ready-fd", str(writing)]
    try:
        os.set_inheritable(writing, True)
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "penstock.server", *options],
            _environment(home),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
        )
        _started.append(pid)
        os.close(writing)
        writing = -1
        base = _read_url(reading, home)
    finally:
        os.close(log)
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    return Address(f"{base}/api", pid, __version__)


def _environment(home: Path) -> dict[str, str]:
    """Ours, but for what belongs to the run that we may be: the server outlives it."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK__")}
    return {**inherited, "PENSTOCK_HOME": str(home)}


def _read_url(reading: int, home: Path) -> str:
    """The base URL that the server writes when it listens."""
    deadline = clock.monotonic() + START_SECONDS
    text = b""
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([reading], [], [], max(0.0, deadline - clock.monotonic()))
        if not ready:
            raise _failure(home, f"did not listen within {START_SECONDS:g} seconds")
        piece = os.read(reading, 4096)
        if not piece:
            raise _failure(home, "ended before it listened")
        text += piece
    return text.decode().strip().rstrip("/")


def _failure(home: Path, what: str) -> Unreachable:
    path = log_path(home)
    lines = path.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
    tail = "".join(f"\n  {line}" for line in lines)
    return Unreachable(
        f"No API is configured, and the local server that was started for it {what}. Its log, {path}, ends with:{tail}",
        code="local_server",
        hint="Start one yourself (penstock server start) and set PENSTOCK_API_URL.",
    )


def _collect_remains() -> None:
    for pid in list(_started):
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
        _started.remove(pid)
