"""Infrastructure: where and how a flow run's job runs. The blocks, found lazily; the contract is in `base`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.infrastructure.block import Infrastructure as Infrastructure
    from penstock.infrastructure.process.config import Process as Process

#: public name -> module that holds it
_PUBLIC = {
    "Infrastructure": "penstock.infrastructure.block",
    "Process": "penstock.infrastructure.process.config",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'penstock.infrastructure' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
