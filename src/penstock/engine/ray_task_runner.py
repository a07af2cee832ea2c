"""Tasks on Ray: an instance on this machine, or a cluster that is there."""

import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Self

from penstock.engine.context import entered
from penstock.engine.remote import run_call
from penstock.engine.remote_runners import RemoteTaskRunner
from penstock.errors import ConfigurationError

_OPTIONS: ContextVar[dict[str, Any] | None] = ContextVar("penstock_ray_options", default=None)


@contextmanager
def remote_options(**options: Any) -> Iterator[None]:
    """Tasks that are submitted to Ray in the body get these options of Ray's, such as ``num_cpus`` and ``num_gpus``."""
    with entered(_OPTIONS, {**(_OPTIONS.get() or {}), **options}):
        yield


class RayTaskRunner(RemoteTaskRunner):
    """Runs submitted tasks on Ray.

    `address`: of a cluster that is there, such as ``ray://10.0.0.7:10001``; by default an instance on this machine is
    started when the first task is submitted, and ended with the run. `init_kwargs`: further arguments of ``ray.init``.
    If the program has called that itself, its instance is used and left alone. Ray is only needed when a flow runs.
    """

    def __init__(self, address: str | None = None, init_kwargs: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.address = address
        self.init_kwargs = dict(init_kwargs or {})
        self._made = False
        self._ray: Any = None
        self._run_call: Any = None
        self._away: dict[str, Any] = {}

    def duplicate(self) -> Self:
        return type(self)(self.address, self.init_kwargs)

    def connect(self) -> None:
        self._ray = ray = _ray()
        if not ray.is_initialized():
            where = {} if self.address is None else {"address": self.address}
            try:
                with _own_breakpoints():
                    ray.init(
                        **where, **{"include_dashboard": False, **self.init_kwargs} if not where else self.init_kwargs
                    )
            except (ConnectionError, ValueError) as error:
                raise ConfigurationError(
                    f"Ray cannot be reached at {self.address}: {error}" if where else f"Ray did not start: {error}"
                ) from error
            self._made = True
        self._run_call = ray.remote(run_call)

    def send(self, call_id: str, task_name: str, payload: bytes) -> "Future[bytes]":
        # What ran on a worker that died is not run again behind our back: that is for the task's retries.
        options = {"name": task_name, "max_retries": 0, **(_OPTIONS.get() or {})}
        reference = self._run_call.options(**options).remote(payload)
        self._away[call_id] = reference
        future: Future[bytes] = reference.future()
        future.add_done_callback(lambda _: self._away.pop(call_id, None))
        return future

    def withdraw(self, call_ids: list[str]) -> None:
        for call_id in call_ids:
            reference = self._away.pop(call_id, None)
            if reference is not None:
                with suppress(Exception):
                    self._ray.cancel(reference)

    def disconnect(self) -> None:
        if self._made:
            self._made = False
            self._ray.shutdown()


@contextmanager
def _own_breakpoints() -> Iterator[None]:
    """``breakpoint()`` stays what it was: ``ray.init`` points ``PYTHONBREAKPOINT`` of this process, and so of all that it
    starts, to a hook that fails wherever Ray is not connected. Ray's own workers set theirs themselves."""
    before = os.environ.get("PYTHONBREAKPOINT")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PYTHONBREAKPOINT", None)
        else:
            os.environ["PYTHONBREAKPOINT"] = before


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"RayTaskRunner needs Ray, which is not installed here: {error}", hint="pip install 'penstock[ray]'"
        ) from error
    return ray
