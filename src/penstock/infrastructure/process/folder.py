"""A job's folder below the launcher's home: the only truth about a job, for whoever comes to read it.

    <home>/jobs/<job name>/     mode 0700
        lock            held by the keeper as long as it lives: who can take it knows that there is no keeper
        request.json    what was asked for
        keeper.json     which processes run it
        output          what it wrote to stdout and stderr, both appended by the job itself
        stop.json       somebody wants it stopped
        exit.json       how it ended; written when nothing of it is left
        work/           where it starts, unless it was told another place

Records are replaced whole, so that a reader never sees half of one.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from penstock import clock
from penstock.infrastructure.process.records import ExitRecord, KeeperRecord, Record, RequestRecord, StopRecord

_R = TypeVar("_R", bound=Record)
_REMOVED = ".removed-"


class JobFolder:
    """One job's folder. Constructing it touches nothing."""

    def __init__(self, home: Path, name: str) -> None:
        self.name = name
        self.path = home / "jobs" / name
        self.output = self.path / "output"
        self.work = self.path / "work"

    @classmethod
    def all(cls, home: Path) -> Iterator[Self]:
        """Every job's folder below `home`."""
        try:
            names = os.listdir(home / "jobs")
        except FileNotFoundError:
            return
        for name in sorted(names):
            if not name.startswith("."):
                yield cls(home, name)

    @classmethod
    def sweep(cls, home: Path, older_than: float) -> None:
        """Remove what interrupted starts and removals have left that is older than so many seconds. No job is touched."""
        for path in (home / "jobs").glob("*"):
            with contextlib.suppress(OSError):
                if clock.now().timestamp() - path.stat().st_mtime < older_than:
                    continue
                folder = cls(home, path.name)
                if path.name.startswith(_REMOVED):
                    shutil.rmtree(path, ignore_errors=True)
                elif folder.keeper() is None and (lock := folder.lock()) is not None:
                    folder.remove()
                    os.close(lock)

    def exists(self) -> bool:
        return self.path.is_dir()

    def is_gone(self) -> bool:
        """Whether the folder is surely not there. One that cannot be looked at is not gone."""
        try:
            os.stat(self.path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def request(self) -> RequestRecord | None:
        return self._read("request.json", RequestRecord)

    def keeper(self) -> KeeperRecord | None:
        return self._read("keeper.json", KeeperRecord)

    def stop_order(self) -> StopRecord | None:
        return self._read("stop.json", StopRecord)

    def exit(self) -> ExitRecord | None:
        return self._read("exit.json", ExitRecord)

    def write_request(self, record: RequestRecord) -> None:
        self._write("request.json", record)

    def write_keeper(self, record: KeeperRecord) -> None:
        self._write("keeper.json", record)

    def write_stop_order(self, record: StopRecord) -> None:
        self._write("stop.json", record)

    def write_exit(self, record: ExitRecord) -> None:
        self._write("exit.json", record)

    def make(self) -> None:
        """Make the folder if it is not there."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def clear(self) -> None:
        """Remove all but the lock: what an interrupted start has left. Only for who holds the lock."""
        for item in self.path.iterdir():
            if item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            elif item.name != "lock":
                item.unlink(missing_ok=True)

    def lock(self) -> int | None:
        """Take the lock: its descriptor, which holds it until it is closed here and in every fork. None: it is held.

        Raises FileNotFoundError if there is no such folder.
        """
        while True:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_ino == os.stat(self.path / "lock").st_ino:
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                return None
            except FileNotFoundError:
                pass  # the folder was removed in this very moment; a new one may be there by now
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def is_kept(self) -> bool:
        """Whether a keeper lives that holds this job (or somebody settles it at this moment)."""
        try:
            descriptor = self.lock()
        except FileNotFoundError:
            return False
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def remove(self) -> None:
        """Remove the folder at once for every reader. Removing what is gone is success."""
        gone = self.path.with_name(f"{_REMOVED}{self.name}-{secrets.token_hex(4)}")
        try:
            self.path.rename(gone)
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)

    def _read(self, name: str, kind: type[_R]) -> _R | None:
        try:
            with open(self.path / name, "rb") as file:
                value: Any = json.loads(file.read())
            return kind.from_json(value)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, AttributeError):
            return None  # a power cut may leave an empty file: then it was never written

    def _write(self, name: str, record: Record) -> None:
        draft = self.path / f".{name}-{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(record.to_json()).encode())
        os.replace(draft, self.path / name)
