"""Deployments: `Deployment` and `run_deployment`, found lazily."""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from penstock.sdk.deployments import Deployment as Deployment
    from penstock.sdk.run_deployment import arun_deployment as arun_deployment
    from penstock.sdk.run_deployment import run_deployment as run_deployment

#: public name -> module that holds it
_PUBLIC = {
    "Deployment": "penstock.sdk.deployments",
    "arun_deployment": "penstock.sdk.run_deployment",
    "run_deployment": "penstock.sdk.run_deployment",
}

__all__ = ["Deployment", "arun_deployment", "run_deployment"]


def __getattr__(name: str) -> "Any":
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'penstock.deployments' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(module), name)
