"""What a launcher loads once, so that its jobs need not; and whether that is still what lies on the disk."""

import gc
import importlib
import os
import pkgutil
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from penstock.infrastructure.process.main_process import ENGINE_MODULE
from penstock.infrastructure.variables import READ_AT_START

#: Packages whose modules the engine and the flows' own code load sooner or later. By name: they lie above this one.
_PACKAGES = ["model", "client", "blocks", "storage", "engine", "sdk"]
#: Of the standard library, what nearly every flow needs.
_STANDARD = ["asyncio", "concurrent.futures.thread", "http.client", "logging", "tempfile", "uuid"]


def load(engine: str) -> str | None:
    """Load that engine and what it needs, build its models, and keep them out of the garbage collector's way.

    Returns why jobs cannot start warm, or None if they can. What else cannot be loaded is left to the jobs.
    """
    for name in [*_STANDARD, *_modules()]:
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f"{name} is not loaded in advance: {error!r}", file=sys.stderr, flush=True)
    try:
        importlib.import_module(f"{engine}.{ENGINE_MODULE}")
        _build_models()
    except Exception as error:
        traceback.print_exc()
        return f"the engine could not be loaded: {error!r}"
    gc.collect()
    gc.freeze()
    return None


def differs(environment: Mapping[str, str]) -> str | None:
    """Why an interpreter of this process's environment is not one of `environment`; None if it is."""
    own = {name: value for name, value in os.environ.items() if name.startswith(READ_AT_START)}
    asked = {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}
    if own == asked:
        return None
    changed = sorted(name for name in own.keys() | asked.keys() if own.get(name) != asked.get(name))
    return f"{', '.join(changed)} differs from the launcher's, and an interpreter reads it when it starts"


def stamp() -> str:
    """Changes whenever Penstock's code or the set of installed packages changes on the disk."""
    newest, count = 0, 0
    for modified in _modified_times(_penstock()):
        newest, count = max(newest, modified), count + 1
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        try:
            newest = max(newest, os.stat(place).st_mtime_ns)
        except OSError:
            continue
    return f"{count}:{newest}"


def _penstock() -> Path:
    return Path(__file__).resolve().parents[2]


def _modified_times(folder: Path | str) -> Iterator[int]:
    with os.scandir(folder) as items:
        for item in items:
            if item.is_dir(follow_symlinks=False):
                if item.name != "__pycache__":
                    yield from _modified_times(item.path)
            elif item.name.endswith(".py"):
                yield item.stat().st_mtime_ns


def _modules() -> Iterator[str]:
    for package in _PACKAGES:
        folder = _penstock() / package
        yield f"penstock.{package}"
        for module in pkgutil.iter_modules([str(folder)]):
            if not module.ispkg and not module.name.startswith("__"):
                yield f"penstock.{package}.{module.name}"


def _build_models() -> None:
    """Models are built when they are first used: do it here, once for all jobs."""
    from penstock.model.base import Data, Request

    waiting: list[type[Data] | type[Request]] = [Data, Request]
    while waiting:
        model = waiting.pop()
        model.model_rebuild()
        waiting.extend(model.__subclasses__())
