"""Texts that are secret although no schema says so: values of variables with telling names, passwords in URLs. Pure."""

import re

from penstock.model.block_documents import MASK

_SECRET_NAME = re.compile(r"(pass(word|wd|phrase)?|secret|token|key|credentials?)(_|$)", re.IGNORECASE)
# `scheme://user:password@` and `scheme://token@`; a short name alone, as in ssh://git@host, is no secret.
_IN_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://(?:[^\s/:@?#]*:)?)([^\s/@?#]+)(?=@)")
_SHORTEST_TOKEN = 20
_STANDS_FOR = re.compile(r"\$?\$\{[^}]*\}|\$[A-Za-z_]\w*|\{\{.*\}\}")


def names_a_secret(name: str) -> bool:
    """Whether what bears this name is to be kept secret: DB_PASSWORD, api_key."""
    return _SECRET_NAME.search(name) is not None


def is_placeholder(text: str) -> bool:
    """Whether the whole text only stands for something, as ``${env:NAME}`` does: it may be shown."""
    return _STANDS_FOR.fullmatch(text) is not None


def without_passwords(text: str) -> str:
    """`text` with a mask in place of every password or token in a URL."""
    return _IN_URL.sub(_mask, text) if "://" in text and "@" in text else text


def _mask(found: re.Match[str]) -> str:
    before, secret = found[1], found[2]
    is_user = before.endswith("//")
    if is_placeholder(secret) or (is_user and (len(secret) < _SHORTEST_TOKEN or ":" in secret)):
        return found[0]
    return before + MASK
