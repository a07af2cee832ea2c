"""Slots that a worker of a cluster holds come free when it dies, while its flow goes on."""

import logging
import os
import signal
from pathlib import Path
from uuid import uuid4

import pytest

from penstock import flow, task
from penstock.client import concurrency_limits as limits
from penstock.concurrency.sync import concurrency
from penstock.model.concurrency_limits import GlobalConcurrencyLimitCreate
from penstock.task_runners import DaskTaskRunner
from penstock.testing import server, wait_until

if os.environ.get("CI", "").lower() not in ("1", "true"):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'penstock[dask]'")


@pytest.fixture(scope="module")
def client():
    """A client of a server whose leases are short."""
    with server(env={"PENSTOCK_CONCURRENCY_LEASE_SECONDS": "10"}) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_API_URL", running.api_url)
        patch.setenv("PENSTOCK_HOME", str(running.home))
        with running.client() as opened:
            yield opened


@pytest.fixture(scope="module")
def runner(client):
    from distributed import LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it tells at length of workers that tests kill
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster:
        cluster.scheduler.allowed_failures = 0
        yield DaskTaskRunner(address=cluster.scheduler_address)


@task
def hold(name: str, place: str) -> None:
    with concurrency(name):
        Path(place).write_text(str(os.getpid()))
        signal.pause()


@task
def visit(name: str) -> int:
    with concurrency(name):
        return os.getpid()


def test_a_killed_worker_loses_what_it_held_and_the_flow_goes_on(client, runner, tmp_path):
    name, tag, place = f"limit-{uuid4()}", f"tag-{uuid4()}", tmp_path / "pid"
    client.send(limits.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1)))
    client.send(limits.create_concurrency_limit(tag, 1))
    limit_id = client.send(limits.read_global_concurrency_limit_by_name(name)).id

    @flow(task_runner=runner)
    def going_on():
        holding = hold.with_options(tags=[tag]).submit(name, str(place))
        pid = int(wait_until(lambda: place.exists() and place.read_text(), timeout=120))
        try:
            (held,) = client.send(limits.read_slot_holders(limit_id))
            assert (held.flow_run_id, held.expires_at is None) == (None, False)
            assert len(client.send(limits.read_concurrency_limit_by_tag(tag)).active_slots) == 1
        finally:
            os.kill(pid, signal.SIGKILL)  # else nobody would ever end the task
        assert not holding.wait().is_completed()
        return visit.with_options(tags=[tag]).submit(name).result() != pid

    assert going_on()
    assert client.send(limits.read_slot_holders(limit_id)) == []
    wait_until(lambda: client.send(limits.read_concurrency_limit_by_tag(tag)).active_slots == [], timeout=60)
