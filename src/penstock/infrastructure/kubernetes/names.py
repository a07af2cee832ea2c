"""What Kubernetes lets things be called. Pure; all raise ValueError that names the field and says what a name looks like.

Texts with references (``${env:NAME}``) are not judged before they are resolved.
"""

import re
from collections.abc import Iterable

from penstock.blocks.extras import holds_reference

_PART = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_LABEL = re.compile(_PART)
_SUBDOMAIN = re.compile(rf"{_PART}(\.{_PART})*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_SHORT, _LONG = 63, 253


def check_label(text: str, field: str, noun: str) -> str:
    """A namespace, a volume, a container: up to 63 lower-case letters, digits and dashes."""
    if not holds_reference(text) and not (len(text) <= _SHORT and _LABEL.fullmatch(text)):
        raise ValueError(
            f"{field} is {text!r}; {noun} has up to {_SHORT} lower-case letters, digits and '-', with a letter or a digit "
            "at both ends."
        )
    return text


def check_subdomain(text: str, field: str, noun: str) -> str:
    """Most other objects: labels with dots between them."""
    if not holds_reference(text) and not (len(text) <= _LONG and _SUBDOMAIN.fullmatch(text)):
        raise ValueError(
            f"{field} is {text!r}, which no {noun} of Kubernetes can be called: lower-case letters, digits, '-' and '.', "
            "with a letter or a digit at both ends."
        )
    return text


def check_marks(marks: dict[str, str], field: str, *, values: bool) -> None:
    """Keys of labels or annotations; with `values` the values too, as labels have them."""
    for key, value in marks.items():
        prefix, slash, name = key.rpartition("/")
        if slash:
            check_subdomain(prefix, f"{field}: the domain of {key!r}", "domain")
        if not (len(name) <= _SHORT and _QUALIFIED.fullmatch(name)):
            raise ValueError(
                f"{field}: {key!r} is no key of Kubernetes; it has up to {_SHORT} letters, digits, '-', '_' and '.', with "
                "a letter or a digit at both ends, and may have a domain and '/' before it."
            )
        if values and value and not (len(value) <= _SHORT and _QUALIFIED.fullmatch(value)):
            raise ValueError(
                f"{field}: {key} is {value!r}, which no label of Kubernetes can be: up to {_SHORT} letters, digits, '-', "
                "'_' and '.', with a letter or a digit at both ends."
            )


def check_variables(names: Iterable[str], field: str) -> None:
    """Names of environment variables."""
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(
                f"{field}: Kubernetes has no variable {name!r}: letters, digits, '-', '_' and '.', not beginning with a "
                "digit."
            )


def split_key(text: str, field: str, noun: str) -> tuple[str, str]:
    """``NAME/KEY``: a Secret or a ConfigMap, and one of its keys."""
    name, slash, key = text.partition("/")
    if not slash or not key or "/" in key:
        raise ValueError(f"{field} is {text!r}; write NAME/KEY: the {noun}, and which of its keys.")
    check_subdomain(name, field, noun)
    if not holds_reference(key) and not _KEY.fullmatch(key):
        raise ValueError(f"{field} is {text!r}; a key has letters, digits, '-', '_' and '.', not {key!r}.")
    return name, key
