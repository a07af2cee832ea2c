"""Tasks on a Dask cluster: one made for the run, or one that is there."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Self

from penstock.engine.outcomes import describe
from penstock.engine.remote import run_call, stop_calls
from penstock.engine.remote_runners import RemoteTaskRunner
from penstock.errors import ConfigurationError

#: Most seconds that the end of a stopped run waits until all workers have been told.
STOP_SECONDS = 5.0


class DaskTaskRunner(RemoteTaskRunner):
    """Runs submitted tasks on a Dask cluster.

    By default on one that is made when the first task is submitted, with processes on this machine, and ended with the run.
    `cluster_class`, `cluster_kwargs`: another one to make: a class of a Dask cluster, its import path, or a function that
    returns a cluster, and its arguments. `adapt_kwargs`: arguments of its `adapt`, such as ``minimum`` and ``maximum``.
    `address` of a scheduler, or `cluster`: one that is there and stays there. `client_kwargs`: further arguments of the
    `distributed.Client`. `performance_report_path`: where Dask writes a report of the run, as HTML.

    Raises ConfigurationError for arguments that exclude each other. Dask itself is only needed when a flow runs.
    """

    def __init__(
        self,
        cluster: Any = None,
        address: str | None = None,
        cluster_class: str | Callable[..., Any] | None = None,
        cluster_kwargs: dict[str, Any] | None = None,
        adapt_kwargs: dict[str, Any] | None = None,
        client_kwargs: dict[str, Any] | None = None,
        performance_report_path: str | None = None,
    ) -> None:
        super().__init__()
        options = {"cluster": cluster, "cluster_class": cluster_class, "cluster_kwargs": cluster_kwargs}
        _exclude("address", address, {**options, "adapt_kwargs": adapt_kwargs})
        _exclude("cluster", cluster, {name: value for name, value in options.items() if name != "cluster"})
        self.cluster = cluster
        self.address = address
        self.cluster_class = cluster_class
        self.cluster_kwargs = dict(cluster_kwargs or {})
        self.adapt_kwargs = dict(adapt_kwargs or {})
        self.client_kwargs = {"set_as_default": False, **(client_kwargs or {})}
        self.performance_report_path = performance_report_path
        self._options = (cluster, address, cluster_class, cluster_kwargs, adapt_kwargs, client_kwargs)
        self._made: Any = None
        self._client: Any = None
        self._report: Any = None
        self._away: dict[str, Any] = {}
        self._stopping: list[Future[None]] = []

    def duplicate(self) -> Self:
        return type(self)(*self._options, performance_report_path=self.performance_report_path)

    def connect(self) -> None:
        distributed = _dask()
        try:
            where = self.address or self.cluster or self._make_cluster(distributed)
            if self.adapt_kwargs:
                (self.cluster or self._made).adapt(**self.adapt_kwargs)
            self._client = distributed.Client(where, **self.client_kwargs)
            logger = logging.getLogger(__name__)
            logger.info("Dashboard of the Dask cluster: %s", self._client.dashboard_link)
            self._begin_report(distributed)
        except OSError as error:
            self.disconnect()
            raise ConfigurationError(
                f"The Dask cluster at {self.address or self.cluster} cannot be reached: {error}",
                hint="address is that of the scheduler, such as tcp://10.0.0.7:8786, as seen from where the flow runs.",
            ) from error
        except BaseException:
            self.disconnect()
            raise

    def send(self, call_id: str, task_name: str, payload: bytes) -> "Future[bytes]":
        import asyncio

        # Dask has its own words for parts of a key that stand before the first dash: the task's name on its dashboard.
        key = f"{task_name}-{call_id}"
        running = self._away[call_id] = self._client.submit(run_call, payload, key=key, pure=False)

        async def outcome() -> bytes:
            try:
                packed: bytes = await running
                return packed
            finally:
                self._away.pop(call_id, None)

        return asyncio.run_coroutine_threadsafe(outcome(), self._client.loop.asyncio_loop)

    def withdraw(self, call_ids: list[str]) -> None:
        client = self._client
        if client is None or client.status != "running":
            return
        waiting = [future for call_id in call_ids if (future := self._away.get(call_id)) is not None]

        async def stop() -> None:
            await client.run(stop_calls, call_ids, on_error="ignore")
            await client.cancel(waiting)

        import asyncio

        self._stopping.append(asyncio.run_coroutine_threadsafe(stop(), client.loop.asyncio_loop))

    def disconnect(self) -> None:
        client, self._client = self._client, None
        made, self._made = self._made, None
        # The client is the way by which workers are told to stop.
        wait(self._stopping, timeout=STOP_SECONDS)
        self._end_report(client)
        for thing in (client, made):
            if thing is not None:
                thing.close()

    def _make_cluster(self, distributed: Any) -> Any:
        self._made = _cluster_class(self.cluster_class, distributed)(**self.cluster_kwargs)
        scheduler: Any = getattr(self._made, "scheduler", None)
        if scheduler is not None and hasattr(scheduler, "allowed_failures"):
            # What ran on a worker that died is not run again behind our back: that is for the task's retries.
            scheduler.allowed_failures = 0
        return self._made

    def _begin_report(self, distributed: Any) -> None:
        if self.performance_report_path is not None:
            with self._client.as_current():
                self._report = distributed.performance_report(filename=self.performance_report_path)
                self._report.__enter__()

    def _end_report(self, client: Any) -> None:
        report, self._report = self._report, None
        if report is None:
            return
        try:
            with client.as_current():
                report.__exit__(None, None, None)
        except Exception as error:  # it is an extra, as is bokeh, which draws it
            logging.getLogger(__name__).warning("Dask wrote no performance report: %s", describe(error))


def _exclude(name: str, value: Any, others: dict[str, Any]) -> None:
    if value is None:
        return
    for other, given in others.items():
        if given is not None:
            raise ConfigurationError(
                f"DaskTaskRunner got both {name} and {other}; {name} names a cluster that is there already"
            )


def _cluster_class(given: str | Callable[..., Any] | None, distributed: Any) -> Callable[..., Any]:
    """Raises ConfigurationError for a path that leads nowhere."""
    if given is None:
        return distributed.LocalCluster  # type: ignore[no-any-return]
    if not isinstance(given, str):
        return given
    import importlib

    module, _, name = given.replace(":", ".").rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]
    except (ImportError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"cluster_class is {given!r}, which cannot be imported: {error}") from error


def _dask() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ConfigurationError(
            f"DaskTaskRunner needs Dask, which is not installed here: {error}", hint="pip install 'penstock[dask]'"
        ) from error
    return distributed
