"""Where the server's keys come from: a command, a setting, or a file that is made at the first start.

The first of these that is set counts: PENSTOCK_SERVER_KEY_COMMAND, PENSTOCK_SERVER_KEYS, PENSTOCK_SERVER_KEY_FILE (by default
``server.key`` in PENSTOCK_HOME, mode 0600). A key document is JSON: ``{"attempts": secret of tokens, "ring": [Fernet key, …]}``,
the newest key first. A list of keys alone will do: then tokens are made from them too.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from penstock import settings
from penstock.errors import ConfigurationError, Refused
from penstock.file_locks import locked

#: Seconds that the key command may take.
COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Keys:
    """`attempts`: secrets of attempt tokens; the first makes them, all are accepted. `ring`: Fernet keys by id, the newest
    first; it seals, all unseal."""

    attempts: tuple[bytes, ...]
    ring: tuple[tuple[str, bytes], ...]


def load() -> Keys:
    """The keys; those of the file are made if there are none yet. Raises ConfigurationError if they cannot be used."""
    command, listed = settings.get("PENSTOCK_SERVER_KEY_COMMAND"), settings.get("PENSTOCK_SERVER_KEYS")
    if command:
        return _from_command(command)
    if listed:
        return _from_list(listed, "PENSTOCK_SERVER_KEYS")
    path = key_file()
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        write_private(path, _fresh())
        stat = os.stat(path)
    return _from_file(str(path), (stat.st_mtime_ns, stat.st_ino, stat.st_size))


def is_file() -> bool:
    """Whether the keys lie in a file, which the server itself may change."""
    return not settings.get("PENSTOCK_SERVER_KEY_COMMAND") and not settings.get("PENSTOCK_SERVER_KEYS")


def describe() -> str:
    """Where the keys are, for messages."""
    if settings.get("PENSTOCK_SERVER_KEY_COMMAND"):
        return "the answer of PENSTOCK_SERVER_KEY_COMMAND"
    return str(key_file()) if is_file() else "PENSTOCK_SERVER_KEYS"


def key_file() -> Path:
    path = settings.get("PENSTOCK_SERVER_KEY_FILE")
    return Path(path).expanduser() if path else settings.home() / "server.key"


def add_key() -> str:
    """Put a new key in front of the ring in the file; returns its id. Raises Refused if the keys are in no file."""
    with _changing() as keys:
        _replace(keys, [_fernet_key(), *(key for _, key in keys.ring)])
    return load().ring[0][0]


def drop_keys(key_ids: frozenset[str]) -> None:
    """Take these keys out of the file; never the first. Raises Refused if the keys are in no file."""
    with _changing() as keys:
        _replace(keys, [key for place, (key_id, key) in enumerate(keys.ring) if place == 0 or key_id not in key_ids])


@contextlib.contextmanager
def _changing() -> Iterator[Keys]:
    """One at a time, also among servers: two that add a key at once would lose one that has sealed something."""
    if not is_file():
        raise Refused(
            f"The keys are in {describe()}, which only you can change.",
            code="keys_not_in_file",
            hint="Add the new key behind the others on every server, then put it first on every server.",
        )
    load()
    with locked(key_file().with_name(f".{key_file().name}.lock")):
        yield load()


def _replace(keys: Keys, ring: list[bytes]) -> None:
    path = key_file()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_private(draft, _document(keys.attempts[0], ring))
    os.replace(draft, path)


def write_private(path: Path, text: str) -> bool:
    """Create `path` with mode 0600 and `text`, whole or not at all. False if it exists already: somebody was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


@lru_cache(maxsize=8)
def _from_file(path: str, _version: tuple[int, int, int]) -> Keys:
    try:
        return _from_document(Path(path).read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"The server's key file {path} cannot be read: {_why(error)}",
            hint="Restore it from a backup; a new one would make sealed secrets unreadable.",
        ) from None


@lru_cache(maxsize=4)
def _from_command(command: str) -> Keys:
    """Run once in the life of a server: what it answers is kept in memory only."""
    source = "PENSTOCK_SERVER_KEY_COMMAND"
    try:
        done = subprocess.run(
            shlex.split(command),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{source} has not answered within {COMMAND_SECONDS} s: {command}") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{source} cannot be run: {error}") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ConfigurationError(f"{source} ended with {done.returncode}: {said[-1] if said else 'it said nothing'}")
    answer = done.stdout.strip()
    if not answer.startswith("{"):
        return _from_list(answer.replace("\n", ","), source)
    try:
        return _from_document(answer)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{source} answered no key document: {_why(error)}") from None


@lru_cache(maxsize=4)
def _from_list(listed: str, source: str) -> Keys:
    found = [key for key in (text.strip() for text in listed.split(",")) if key]
    if not found:
        raise ConfigurationError(f"{source} names no key.", hint=_HOW_TO_MAKE)
    try:
        ring = _ring(found)
    except ValueError as error:
        raise ConfigurationError(f"{source}: {_why(error)}", hint=_HOW_TO_MAKE) from None
    # A secret of its own for each: a key that seals is never used for anything else.
    return Keys(tuple(hmac.new(key, b"penstock attempts", hashlib.sha256).digest() for _, key in ring), ring)


_HOW_TO_MAKE = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())" makes a key that fits.'
)


def _from_document(text: str) -> Keys:
    document = json.loads(text)
    ring = _ring(document["ring"])
    return Keys((base64.urlsafe_b64decode(document["attempts"]),), ring)


def _ring(listed: list[str]) -> tuple[tuple[str, bytes], ...]:
    """Raises ValueError, which never shows a key."""
    for place, key in enumerate(listed, 1):
        try:
            fits = len(base64.urlsafe_b64decode(key)) == 32
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"key {place} is no Fernet key: 32 bytes as URL-safe base64")
    if not listed:
        raise ValueError("there is no key in it")
    return tuple((_key_id(key.encode()), key.encode()) for key in listed)


def _why(error: Exception) -> str:
    """What is wrong, without what it was wrong with."""
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _fernet_key() -> bytes:
    return base64.urlsafe_b64encode(secrets.token_bytes(32))


def _key_id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:12]


def _document(attempts: bytes, ring: list[bytes]) -> str:
    return json.dumps({"attempts": base64.urlsafe_b64encode(attempts).decode(), "ring": [key.decode() for key in ring]})


def _fresh() -> str:
    return _document(secrets.token_bytes(32), [_fernet_key()])
