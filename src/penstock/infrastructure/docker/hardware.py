"""What a container may use: open files and other limits of Linux, GPUs, devices. Pure."""

import re
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.infrastructure.docker.words import ULIMITS, one_of
from penstock.model.base import JSONObject

_UNLIMITED = -1
_PERMISSIONS = re.compile(r"(?!.*(.).*\1)[rwm]{1,3}")


def read_ulimit(name: str, value: int | str) -> tuple[int, int] | None:
    """The soft and the hard limit: a number is both, ``soft:hard`` says each, -1 is none. None for a text with a reference.

    Raises ValueError.
    """
    one_of(name, ULIMITS, "ulimit")
    if isinstance(value, str) and holds_reference(value):
        return None
    parts = str(value).split(":")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        numbers = []
    if isinstance(value, bool) or len(numbers) not in {1, 2} or any(number < _UNLIMITED for number in numbers):
        raise ValueError(f"{name} is {value!r}; write a number, -1 for no limit, or soft:hard, e.g. 1024:4096.")
    soft, hard = numbers[0], numbers[-1]
    if hard != _UNLIMITED and (soft > hard or soft == _UNLIMITED):
        raise ValueError(f"{name} is {value!r}; the soft limit cannot be above the hard one.")
    return soft, hard


def ulimits_of(limits: dict[str, int | str]) -> list[JSONObject]:
    """The engine's own form. A text with a reference is shown in it as it was written."""
    found: list[JSONObject] = []
    for name, value in limits.items():
        soft, hard = read_ulimit(name, value) or (value, value)
        found.append({"Name": name, "Soft": soft, "Hard": hard})
    return found


def read_gpus(value: Any) -> Any:
    """``all``, how many, or the ids of which: as a text (``2``, ``device=0,1``), number or list. Raises ValueError."""
    if isinstance(value, str) and not holds_reference(value):
        text = value.strip()
        if text.lower() == "all":
            return "all"
        if text.startswith("device="):
            return _ids(text.removeprefix("device=").split(","), value)
        value = int(text) if re.fullmatch(r"-?\d+", text) else value
        if not isinstance(value, int):
            raise ValueError(f'gpus is {value!r}; write all, how many, or a list of ids: device=0,1 or ["GPU-…"].')
    if isinstance(value, bool) or (isinstance(value, int) and value < 1):
        raise ValueError(f"gpus is {value!r}; write all, a number from 1 on, or a list of ids. Null asks for none.")
    return _ids(value, value) if isinstance(value, list) else value


def _ids(ids: list[Any], said: Any) -> list[str]:
    found = [str(part).strip() for part in ids]
    if not found or not all(found) or len(set(found)) < len(found):
        raise ValueError(f"gpus is {said!r}; a list names each GPU once, by its index or id.")
    return found


def device_requests(gpus: int | str | list[str] | None) -> list[JSONObject] | None:
    """What the engine is asked for, in its own form."""
    if gpus is None:
        return None
    ids = gpus if isinstance(gpus, list) else []
    count = -1 if gpus == "all" else 0 if ids else gpus
    return [{"Driver": "", "Count": count, "DeviceIDs": ids, "Capabilities": [["gpu"]], "Options": {}}]


def read_device(text: str) -> JSONObject:
    """``host_path[:container_path[:rwm]]`` in the engine's own form. Raises ValueError."""
    host, _, rest = text.partition(":")
    inside, _, permissions = rest.partition(":")
    inside, permissions = inside or host, permissions or "rwm"
    if not (host.startswith("/") and inside.startswith("/")):
        raise ValueError(f"{text!r} is no device; write /dev/one, /dev/one:/dev/other or /dev/one:/dev/other:rwm.")
    if not _PERMISSIONS.fullmatch(permissions):
        raise ValueError(f"{text!r} permits {permissions!r}; it is made of r (read), w (write) and m (mknod).")
    return {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": permissions}
