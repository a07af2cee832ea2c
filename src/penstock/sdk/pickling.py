"""How flows and tasks are sent to other processes: like the functions they stand for, by name."""

import sys
from typing import Any


def global_name(value: Any) -> str | None:
    """The name under which `value` is found in its module; None if it is not found there, or cloudpickle asks.

    That sends the code itself where the other side could not import it.
    """
    if "cloudpickle" in sys._getframe(2).f_globals.get("__name__", ""):
        return None
    name: str | None = getattr(value, "__qualname__", None)
    found: Any = sys.modules.get(getattr(value, "__module__", None) or "")
    for part in name.split(".") if name else ():
        found = getattr(found, part, None)
    return name if found is value else None
