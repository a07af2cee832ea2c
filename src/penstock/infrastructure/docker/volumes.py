"""Volumes and amounts of memory as Docker writes them. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from penstock.errors import did_you_mean

_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmg])?(?:i?b)?", re.IGNORECASE)
VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_DRIVE = re.compile(r"[a-zA-Z]:[\\/]")
_OPTIONS = (
    "ro", "rw", "z", "Z", "nocopy", "consistent", "cached", "delegated",
    "private", "rprivate", "shared", "rshared", "slave", "rslave",
)  # fmt: skip


@dataclass(frozen=True)
class Volume:
    """One mount: a path of the host or the name of a volume, where it appears in the container, and how."""

    source: str
    target: str
    options: tuple[str, ...] = ()


def read_volume(text: str) -> Volume:
    """``source:target[:options]`` taken apart. Raises ValueError that says what is wrong with it."""
    drive = text[:2] if _DRIVE.match(text) else ""
    source, colon, rest = text[len(drive) :].partition(":")
    source = drive + source
    if not colon:
        raise ValueError(f"{text!r} has no colon; write local_path:container_path, e.g. /data:/data.")
    target, _, options = rest.partition(":")
    if not target.startswith("/"):
        raise ValueError(f"{text!r} mounts to {target!r}; the path in the container begins with '/'.")
    if not (is_path_of_host(source) or VOLUME_NAME.fullmatch(source)):
        raise ValueError(
            f"{text!r} mounts {source!r}, which Docker takes neither for a path, which begins with '/', nor for "
            "the name of a volume."
        )
    found = tuple(option for option in options.split(",") if option)
    for option in found:
        if option not in _OPTIONS:
            raise ValueError(
                f"{text!r} has the option {option!r}.{did_you_mean(option, _OPTIONS)} There are {', '.join(_OPTIONS)}."
            )
    return Volume(source, target, found)


def is_path_of_host(source: str) -> bool:
    """Whether `source` is a whole path, of Linux or of Windows."""
    return source.startswith("/") or _DRIVE.match(source) is not None


def check_targets(mounted: Iterable[tuple[str, str]]) -> None:
    """Raise ValueError if two of `mounted`, each where it appears and which one it is, appear in one place."""
    targets: dict[str, str] = {}
    for target, text in mounted:
        place = target.rstrip("/")
        if place in targets:
            raise ValueError(f"{targets[place]} and {text} are mounted to the same place.")
        targets[place] = text


def bytes_of(amount: int | float | str, field: str) -> int:
    """An amount of memory in bytes: a number is bytes, a text has a unit, e.g. ``512m`` or ``1.5g``. Raises ValueError."""
    if not isinstance(amount, str):
        return int(amount)
    match = _MEMORY.fullmatch(amount.strip())
    if match is None:
        raise ValueError(f"{field} is {amount!r}; write bytes, or a number with b, k, m or g, e.g. 512m.")
    return int(float(match[1]) * _UNITS[(match[2] or "b").lower()])
