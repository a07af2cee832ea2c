"""Texts that are secret although no schema says so: values of variables with telling names, passwords in URLs. Pure."""

import re
from typing import Any

from penstock.model.block_documents import MASK

_SECRET_NAME = re.compile(r"(pass(word|wd|phrase)?|secret|token|key|credentials?)(_|$)", re.IGNORECASE)
# `scheme://user:password@` and `scheme://token@`; a short name alone, as in ssh://git@host, is no secret.
_IN_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://(?:[^\s/:@?#]*:)?)([^\s/@?#]+)(?=@)")
_SHORTEST_TOKEN = 20
_STANDS_FOR = re.compile(r"\$?\$\{[^}]*\}|\$[A-Za-z_]\w*|\{\{.*\}\}")


def names_a_secret(name: str) -> bool:
    """Whether what bears this name is to be kept secret: DB_PASSWORD, api_key. Not DB_PASSWORD_FILE: that is a path."""
    return _SECRET_NAME.search(name) is not None and not name.lower().endswith("_file")


def is_placeholder(text: str) -> bool:
    """Whether the whole text only stands for something, as ``${env:NAME}`` does: it may be shown."""
    return _STANDS_FOR.fullmatch(text) is not None


def without_passwords(text: str) -> str:
    """`text` with a mask in place of every password or token in a URL."""
    return _IN_URL.sub(_mask, text) if "://" in text and "@" in text else text


def masked(value: Any) -> Any:
    """JSON data as it may be shown, with masks in place of such texts: variables of ``env`` objects, and
    ``{"name": …, "value": …}``, whose names tell; passwords in URLs anywhere."""
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, list):
        return [masked(item) for item in value]
    if not isinstance(value, dict):
        return value
    shown = {key: masked(item) for key, item in value.items()}
    if isinstance(value.get("env"), dict):
        shown["env"] |= {name: MASK for name, text in value["env"].items() if names_a_secret(name) and is_secret(text)}
    if isinstance(value.get("name"), str) and names_a_secret(value["name"]) and is_secret(value.get("value")):
        shown["value"] = MASK
    return shown


def is_secret(value: Any) -> bool:
    """Whether what bears a telling name is itself secret: a text, and none that only stands for something."""
    return isinstance(value, str) and value != "" and not is_placeholder(value)


def _mask(found: re.Match[str]) -> str:
    before, secret = found[1], found[2]
    is_user = before.endswith("//")
    if is_placeholder(secret) or (is_user and (len(secret) < _SHORTEST_TOKEN or ":" in secret)):
        return found[0]
    return before + MASK
