"""Penstock runs Python flows on infrastructure. The public names; importing this does nothing but make them findable."""

from penstock.version import __version__ as __version__

TYPE_CHECKING = False  # as type checkers understand it; the module `typing` would cost half of `penstock --version`

if TYPE_CHECKING:
    from typing import Any

    from penstock.client import get_client as get_client
    from penstock.engine.run_control import pause_flow_run as pause_flow_run
    from penstock.engine.run_control import resume_flow_run as resume_flow_run
    from penstock.engine.run_control import suspend_flow_run as suspend_flow_run
    from penstock.model.states import State as State
    from penstock.sdk.annotations import allow_failure as allow_failure
    from penstock.sdk.annotations import quote as quote
    from penstock.sdk.annotations import unmapped as unmapped
    from penstock.sdk.context import tags as tags
    from penstock.sdk.flows import Flow as Flow
    from penstock.sdk.flows import flow as flow
    from penstock.sdk.logging import get_run_logger as get_run_logger
    from penstock.sdk.tasks import Task as Task
    from penstock.sdk.tasks import task as task

#: public name -> module that holds it
_PUBLIC = {
    "Flow": "penstock.sdk.flows",
    "State": "penstock.model.states",
    "Task": "penstock.sdk.tasks",
    "allow_failure": "penstock.sdk.annotations",
    "flow": "penstock.sdk.flows",
    "get_client": "penstock.client",
    "get_run_logger": "penstock.sdk.logging",
    "pause_flow_run": "penstock.engine.run_control",
    "quote": "penstock.sdk.annotations",
    "resume_flow_run": "penstock.engine.run_control",
    "suspend_flow_run": "penstock.engine.run_control",
    "tags": "penstock.sdk.context",
    "task": "penstock.sdk.tasks",
    "unmapped": "penstock.sdk.annotations",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> "Any":
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
