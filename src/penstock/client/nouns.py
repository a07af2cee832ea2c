"""Finds the function of a noun module by its name."""

import importlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

from penstock.client.call import Call

#: Every module that builds calls.
NOUNS = (
    "flow_runs",
    "flow_run_inputs",
    "task_runs",
    "flows",
    "deployments",
    "schedules",
    "work_queues",
    "work_pools",
    "artifacts",
    "variables",
    "concurrency_limits",
    "flow_run_limits",
    "logs",
    "bundles",
    "attempts",
    "reports",
    "agents",
    "block_types",
    "block_schemas",
    "block_documents",
    "notification_policies",
    "admin",
)


def find(name: str) -> Callable[..., Call[Any]]:
    """The call builder called `name`. Raises AttributeError, with the nearest name, if there is none."""
    builders = all_builders() if not name.startswith("_") else {}
    if name not in builders:
        from penstock.errors import did_you_mean

        raise AttributeError(f"The client has no method {name!r}.{did_you_mean(name, builders)}")
    return builders[name]


def all_builders() -> dict[str, Callable[..., Call[Any]]]:
    """Every call builder by its name."""
    found: dict[str, Callable[..., Call[Any]]] = {}
    for noun in NOUNS:
        module = importlib.import_module(f"penstock.client.{noun}")
        found.update(
            {
                name: value
                for name, value in vars(module).items()
                if not name.startswith("_") and isinstance(value, FunctionType) and value.__module__ == module.__name__
            }
        )
    return found
