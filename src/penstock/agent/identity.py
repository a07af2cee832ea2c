"""Who this agent is: an id that survives its restarts, so that its attempts come back to it.

One file per name in the folder `agents` of PENSTOCK_HOME. A lock on it is held as long as the agent lives: a second
agent of that name on this host gets the next free file, and so an id of its own.
"""

import fcntl
import json
import os
import re
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

#: Agents of one name on one home. More is a mistake in a supervisor's configuration.
MOST_OF_ONE_NAME = 1000


class Identity:
    """The agent's id and the small state it keeps on disk. Held until the process ends or `release` is called."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._state = _read(descriptor)
        if "id" not in self._state:
            self._state["id"] = str(uuid4())
            self._write()
        self.id = UUID(self._state["id"])

    @property
    def reaches(self) -> list[str]:
        """The places whose jobs this agent has had in its hands."""
        return list(self._state.get("reaches", []))

    @property
    def types(self) -> list[str]:
        """The infrastructure types of those places."""
        return list(self._state.get("types", []))

    def remember_reach(self, reach: str, slug: str) -> None:
        """Keep that jobs of type `slug` can be seen in the place `reach`."""
        known, types = self.reaches, self.types
        if reach not in known or slug not in types:
            # the newest few are enough: a place not met for long is met again with its next run
            self._state["reaches"] = [*(one for one in known if one != reach), reach][-50:]
            self._state["types"] = [*(one for one in types if one != slug), slug]
            self._write()

    def launches(self, attempt_id: UUID) -> int:
        """How often a launch of this attempt was begun here and never came to an end: the agent died in it."""
        return int(self._state.get("launching", {}).get(str(attempt_id), 0))

    def launch_begins(self, attempt_id: UUID) -> None:
        launching = self._state.setdefault("launching", {})
        launching[str(attempt_id)] = launching.get(str(attempt_id), 0) + 1
        self._write()

    def launch_ends(self, attempt_id: UUID) -> None:
        if self._state.get("launching", {}).pop(str(attempt_id), None) is not None:
            self._write()

    def release(self) -> None:
        os.close(self._descriptor)

    def _write(self) -> None:
        # In place: the lock belongs to this very file. A torn write costs an id, and its attempts are adopted by lease.
        text = json.dumps(self._state).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))


def acquire(home: Path, name: str) -> Identity:
    """The identity of the agent called `name` in `home`; the next free one if other agents of that name are alive."""
    folder = home / "agents"
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:100]
    for number in range(1, MOST_OF_ONE_NAME):
        path = folder / (f"{stem}.json" if number == 1 else f"{stem}~{number}.json")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        return Identity(path, descriptor)
    raise RuntimeError(f"{MOST_OF_ONE_NAME} agents called {name!r} are alive in {home}")


def _read(descriptor: int) -> dict[str, Any]:
    """The state on disk; empty if there is none or it cannot be read: a new id is then made."""
    try:
        state = json.loads(os.pread(descriptor, 1 << 20, 0))
        UUID(state["id"])
    except (ValueError, KeyError, TypeError):
        return {}
    return dict(state)
