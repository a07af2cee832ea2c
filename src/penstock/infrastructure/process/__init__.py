"""Local processes: jobs that run on the agent's own machine.

`Process` is found here too, lazily: what runs jobs imports this package without ever needing the block.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.infrastructure.process.config import Process as Process

__all__ = ["Process"]


def __getattr__(name: str) -> Any:
    if name != "Process":
        raise AttributeError(f"module 'penstock.infrastructure.process' has no attribute {name!r}")
    import importlib

    return importlib.import_module("penstock.infrastructure.process.config").Process
