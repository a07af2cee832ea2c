"""The server's own secrets: the root of attempt tokens, and the key ring that seals the secrets of blocks.

Where they come from is said in `penstock.server.key_sources`. All servers on one database must have the same. Losing them makes
sealed secrets unreadable and open attempts' tokens worthless.
"""

import base64
import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

from penstock.errors import ConfigurationError
from penstock.server import key_sources
from penstock.server.key_sources import Keys


def load() -> Keys:
    """The keys, made if there are none yet. Raises ConfigurationError if they cannot be had or used."""
    return key_sources.load()


def attempt_token(attempt_id: UUID) -> str:
    """The token of an attempt: only this server's keys can make it, and it is the same each time while they are."""
    return _token(load().attempts[0], attempt_id)


def is_attempt_token(attempt_id: UUID, token: str) -> bool:
    shown = token.encode()
    return any(hmac.compare_digest(_token(secret, attempt_id).encode(), shown) for secret in load().attempts)


def _token(secret: bytes, attempt_id: UUID) -> str:
    digest = hmac.new(secret, attempt_id.bytes, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def fingerprint(value: Any) -> str:
    """A text that is the same for equal JSON data and says nothing about it to whoever has not this server's keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hmac.new(load().attempts[0], b"fingerprint " + text.encode(), hashlib.sha256).hexdigest()


def front() -> str:
    """The id of the key that seals."""
    return load().ring[0][0]


def seal(value: Any) -> dict[str, str]:
    """JSON data as ``{"key": id of the key, "token": ciphertext}``."""
    from cryptography.fernet import Fernet

    key_id, key = load().ring[0]
    return {"key": key_id, "token": Fernet(key).encrypt(json.dumps(value).encode()).decode()}


def unseal(sealed: dict[str, str]) -> Any:
    """What was sealed. Raises ConfigurationError if the key that sealed it is not in the ring, or it is damaged."""
    from cryptography.fernet import Fernet, InvalidToken

    key = dict(load().ring).get(sealed["key"])
    if key is None:
        raise ConfigurationError(
            f"it was sealed with key {sealed['key']}, which is not in {key_sources.describe()}",
            code="unknown_key",
            hint="Put the key back that this database was used with; older keys belong behind the newest.",
        )
    try:
        return json.loads(Fernet(key).decrypt(sealed["token"].encode()))
    except (InvalidToken, ValueError):
        raise ConfigurationError(
            f"what was sealed with key {sealed['key']} is damaged",
            code="damaged_secret",
            hint="Save the block anew with all of its secrets, or restore the database from a backup.",
        ) from None


def rotate() -> str:
    """Put a new sealing key in front of the ring; what older keys sealed stays readable. Returns the new key's id.

    Raises Refused if the keys are not ours to change.
    """
    return key_sources.add_key()


def drop(key_ids: frozenset[str]) -> None:
    """Take these keys out of the ring. What they sealed is unreadable from then on. Raises Refused as `rotate` does."""
    key_sources.drop_keys(key_ids)
