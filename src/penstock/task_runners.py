"""Task runners, under the module name that users of Prefect 2 know. Those of Dask and Ray are loaded when they are named."""

from typing import TYPE_CHECKING

from penstock.engine.task_runners import (
    BaseTaskRunner,
    ConcurrentTaskRunner,
    SequentialTaskRunner,
    TaskConcurrencyType,
)
from penstock.lazy import public_names

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
__getattr__, __dir__ = public_names(__name__, _ELSEWHERE)
