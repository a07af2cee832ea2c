"""Task runners, under the module name that users of Prefect 2 know. Those of Dask and Ray are loaded when they are named."""

from typing import TYPE_CHECKING, Any

from penstock.engine.task_runners import (
    BaseTaskRunner,
    ConcurrentTaskRunner,
    SequentialTaskRunner,
    TaskConcurrencyType,
)

if TYPE_CHECKING:
    from penstock.engine.dask_task_runner import DaskTaskRunner
    from penstock.engine.ray_task_runner import RayTaskRunner, remote_options

__all__ = [
    "BaseTaskRunner",
    "ConcurrentTaskRunner",
    "DaskTaskRunner",
    "RayTaskRunner",
    "SequentialTaskRunner",
    "TaskConcurrencyType",
    "remote_options",
]

_ELSEWHERE = {
    "DaskTaskRunner": "penstock.engine.dask_task_runner",
    "RayTaskRunner": "penstock.engine.ray_task_runner",
    "remote_options": "penstock.engine.ray_task_runner",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _ELSEWHERE:
        from penstock.errors import did_you_mean

        raise AttributeError(f"penstock.task_runners has no {name!r}.{did_you_mean(name, __all__)}")
    return getattr(importlib.import_module(_ELSEWHERE[name]), name)
