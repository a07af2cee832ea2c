"""Names of a module that are imported where they are first used."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def public_names(module: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of `module`, whose names stand in the modules that `places` gives.

    Other names are an AttributeError.
    """

    def __getattr__(name: str) -> Any:
        home = sys.modules[module]
        if name not in places:
            raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=home)
        value = getattr(import_module(places[name]), name)
        setattr(home, name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[module]).get("__all__", ()), *places})

    return __getattr__, __dir__
