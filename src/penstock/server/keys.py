"""The server's own secrets: the root of attempt tokens, and the key ring that seals the secrets of blocks.

They live in one file (PENSTOCK_SERVER_KEY_FILE, by default ``server.key`` in PENSTOCK_HOME, mode 0600), made at first use.
Several servers on one database must share it. Losing it makes sealed secrets unreadable and open attempts' tokens worthless.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from penstock import settings
from penstock.errors import ConfigurationError


@dataclass(frozen=True)
class Keys:
    """`attempts` is the secret of attempt tokens. `ring`: Fernet keys by id, the newest first; it seals, all unseal."""

    attempts: bytes
    ring: tuple[tuple[str, bytes], ...]


def key_file() -> Path:
    path = settings.get("PENSTOCK_SERVER_KEY_FILE")
    return Path(path).expanduser() if path else settings.home() / "server.key"


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


def load() -> Keys:
    """The keys, made if there are none yet. Raises ConfigurationError if the file cannot be used."""
    path = key_file()
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        write_private(path, _fresh())
        stat = os.stat(path)
    return _parse(str(path), stat.st_mtime_ns)


def attempt_token(attempt_id: UUID) -> str:
    """The token of an attempt: always the same for one attempt, and only this server's keys can make it."""
    digest = hmac.new(load().attempts, attempt_id.bytes, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_attempt_token(attempt_id: UUID, token: str) -> bool:
    return hmac.compare_digest(attempt_token(attempt_id).encode(), token.encode())


def seal(value: Any) -> dict[str, str]:
    """JSON data as ``{"key": id of the key, "token": ciphertext}``."""
    from cryptography.fernet import Fernet

    key_id, key = load().ring[0]
    return {"key": key_id, "token": Fernet(key).encrypt(json.dumps(value).encode()).decode()}


def unseal(sealed: dict[str, str]) -> Any:
    """What was sealed. Raises ConfigurationError if the key that sealed it is not in the ring."""
    from cryptography.fernet import Fernet, InvalidToken

    ring = dict(load().ring)
    key = ring.get(sealed["key"])
    if key is None:
        raise ConfigurationError(
            f"A secret was sealed with key {sealed['key']}, which is not in {key_file()}",
            code="unknown_key",
            hint="Put the key file back that this database was used with (PENSTOCK_SERVER_KEY_FILE).",
        )
    try:
        return json.loads(Fernet(key).decrypt(sealed["token"].encode()))
    except InvalidToken:
        raise ConfigurationError(f"A sealed secret (key {sealed['key']}) is damaged", code="damaged_secret") from None


def rotate() -> str:
    """Put a new sealing key in front of the ring; what older keys sealed stays readable. Returns the new key's id."""
    path = key_file()
    keys = load()
    document = _document(keys.attempts, [_fernet_key(), *(key for _, key in keys.ring)])
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_private(draft, document)
    os.replace(draft, path)
    return load().ring[0][0]


def _fernet_key() -> bytes:
    return base64.urlsafe_b64encode(secrets.token_bytes(32))


def _key_id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:12]


def _document(attempts: bytes, ring: list[bytes]) -> str:
    return json.dumps({"attempts": base64.urlsafe_b64encode(attempts).decode(), "ring": [key.decode() for key in ring]})


def _fresh() -> str:
    return _document(secrets.token_bytes(32), [_fernet_key()])


@lru_cache(maxsize=8)
def _parse(path: str, _modified: int) -> Keys:
    try:
        document = json.loads(Path(path).read_text())
        ring = tuple((_key_id(key.encode()), key.encode()) for key in document["ring"])
        return Keys(base64.urlsafe_b64decode(document["attempts"]), ring)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"The server's key file {path} cannot be read: {error!r}",
            hint="Restore it from a backup; a new one would make sealed secrets unreadable.",
        ) from None
