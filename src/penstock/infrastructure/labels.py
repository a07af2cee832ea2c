"""Labels as each platform takes them: what it does not take is put as near as possible. Pure.

Ours are called ``penstock.io/…`` everywhere that allows it. What becomes of a label is the same each time.
"""

import hashlib
import re
from collections.abc import Mapping

_KUBERNETES_NAME, _KUBERNETES_PREFIX, _KUBERNETES_VALUE = 63, 253, 63
_GOOGLE = 63
_AWS_KEY, _AWS_VALUE = 128, 256
_AZURE_KEY, _AZURE_VALUE, _AZURE_COUNT = 512, 256, 50


def for_kubernetes(labels: Mapping[str, str]) -> dict[str, str]:
    """Lower-case keys of letters, digits, ``-``, ``_`` and ``.``, with a domain before a slash; values likewise.

    Keys that would become one are kept apart by a few digits, which are made from the key as it was.
    """
    keys = {key: _kubernetes_key(key) for key in labels}
    spelled = [*keys.values()]
    found: dict[str, str] = {}
    for key, value in labels.items():
        plain = keys[key]
        if plain and plain != key and spelled.count(plain) > 1:
            mark = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:8]
            prefix, slash, name = plain.rpartition("/")
            plain = f"{prefix}{slash}{name[: _KUBERNETES_NAME - 9].rstrip('-_.')}-{mark}"
        if plain:
            found[plain] = _plain(value, r"[^A-Za-z0-9._-]", _KUBERNETES_VALUE)
    return found


def _kubernetes_key(key: str) -> str:
    """`key` as near as Kubernetes takes it, empty if nothing of its name is left."""
    domain, slash, text = key.rpartition("/")
    parts = [re.sub(r"[^a-z0-9-]", "-", part).strip("-") for part in domain.lower().split(".")]
    prefix = ".".join(part for part in parts if part)[:_KUBERNETES_PREFIX].rstrip("-.")
    name = _plain(text, r"[^a-z0-9._-]", _KUBERNETES_NAME, lower=True)
    return f"{prefix}/{name}" if slash and prefix and name else name


def for_google(labels: Mapping[str, str]) -> dict[str, str]:
    """Lower-case letters, digits, ``-`` and ``_``; keys begin with a letter."""
    found: dict[str, str] = {}
    for key, value in labels.items():
        name = re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9_-]+", "-", key.lower()))[:_GOOGLE]
        if name:
            found[name] = re.sub(r"[^a-z0-9_-]+", "-", value.lower())[:_GOOGLE]
    return found


def for_aws(labels: Mapping[str, str]) -> dict[str, str]:
    """Letters, digits, spaces and ``+ - = . _ : / @``; keys do not begin with ``aws:``."""
    return {
        re.sub(r"^aws:", "aws-", re.sub(r"[^\w +=.:/@-]", "-", key), flags=re.IGNORECASE)[:_AWS_KEY]: re.sub(
            r"[^\w +=.:/@-]", "-", value
        )[:_AWS_VALUE]
        for key, value in labels.items()
        if key.strip()
    }


def for_azure(labels: Mapping[str, str]) -> dict[str, str]:
    """Keys without ``< > % & \\ ? /``, at most fifty."""
    found = {re.sub(r"[<>%&\\?/]", ".", key)[:_AZURE_KEY]: value[:_AZURE_VALUE] for key, value in labels.items() if key}
    return dict([*found.items()][:_AZURE_COUNT])


def _plain(text: str, others: str, limit: int, *, lower: bool = False) -> str:
    return re.sub(others, "-", text.lower() if lower else text)[:limit].strip("-_.")
