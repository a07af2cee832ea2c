"""The profiles file: named sets of settings, and which of them is active. Written whole, readable by its owner only."""

import os
import re
from pathlib import Path
from typing import Any

from penstock import settings
from penstock.cli.errors import UsageProblem
from penstock.errors import Conflict, NotFound, did_you_mean

DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Profiles = dict[str, dict[str, str]]


def read() -> tuple[str, Profiles]:
    """The name that the file says is active, and all profiles. The profile "default" is always there."""
    document = settings.profiles()
    found: dict[str, Any] = document.get("profiles", {})
    profiles = {name: {key: str(value) for key, value in values.items()} for name, values in found.items()}
    profiles.setdefault(DEFAULT, {})
    return str(document.get("active") or DEFAULT), profiles


def write(active: str, profiles: Profiles) -> Path:
    """Replace the file in one step, so that a reader sees the old or the new one; mode 0600 for its secrets."""
    import tomli_w

    path = settings.profiles_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        tomli_w.dump({"active": active, "profiles": profiles}, file)
    draft.replace(path)
    return path


def existing(name: str, profiles: Profiles) -> dict[str, str]:
    """The profile `name`. Raises NotFound with the nearest name."""
    if name not in profiles:
        raise NotFound(
            f"There is no profile {name!r}.{did_you_mean(name, profiles)}",
            hint=f"Create it with `penstock profile create {name}`.",
        )
    return profiles[name]


def check_new(name: str, profiles: Profiles) -> None:
    """Raise UsageProblem if `name` cannot be a profile's name, Conflict if it is taken."""
    if not _NAME.fullmatch(name):
        raise UsageProblem(
            f"{name!r} cannot be the name of a profile.",
            hint="Letters, digits, '.', '_' and '-'; the first one a letter or digit.",
        )
    if name in profiles:
        raise Conflict(f"The profile {name!r} exists already.", hint=f"See `penstock profile inspect {name}`.")
