"""One real server for the tests of a module, which call flows in this very process."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.client.sync import SyncClient
from penstock.engine import flow_runs, session
from penstock.testing import server
from penstock.testing.servers import TestServer

# On a busy machine workers of Dask are long in coming, and none the less alive; a local cluster would give up for ever one
# that was killed and is not back within 15 s. Read when Dask is imported, here or by the workers.
for what in ("COMM__TIMEOUTS__CONNECT", "COMM__TIMEOUTS__TCP", "DEPLOY__LOST_WORKER_TIMEOUT"):
    os.environ[f"DASK_DISTRIBUTED__{what}"] = "300s"


class Accounts:
    """What the server knows of runs, for tests to compare with what happened."""

    def __init__(self, running: TestServer, client: SyncClient) -> None:
        self.server, self.client = running, client

    def flow_runs(self, flow: Any) -> list[Any]:
        """All runs of the flow, oldest first."""
        only = {"name": {"any_": [flow.name]}}
        return sorted(self.client.read_flow_runs(flow_filter=only), key=lambda run: run.created)

    def flow_run(self, flow: Any) -> Any:
        """The only run of the flow."""
        (run,) = self.flow_runs(flow)
        return run

    def states(self, run: Any) -> list[str]:
        return [state.name for state in self.client.read_flow_run_states(run.id)]

    def task_runs(self, run: Any) -> dict[str, Any]:
        """Name -> task run, for all of that flow run."""
        found: dict[str, Any] = {}
        offset = 0
        while True:
            page = self.client.read_task_runs(
                flow_run_filter={"id": {"any_": [str(run.id)]}}, sort="NAME_ASC", limit=200, offset=offset
            )
            found.update({task_run.name: task_run for task_run in page})
            offset += len(page)
            if len(page) < 200:
                return found

    def task_states(self, task_run: Any) -> list[str]:
        return [state.name for state in self.client.read_task_run_states(task_run.id)]

    def logs(self, run: Any) -> list[Any]:
        found: list[Any] = []
        while True:
            page = self.client.read_logs(
                log_filter={"flow_run_id": {"any_": [str(run.id)]}}, sort="TIMESTAMP_ASC", limit=200, offset=len(found)
            )
            found += page
            if len(page) < 200:
                return found

    def messages(self, run: Any) -> list[str]:
        return [line.message for line in self.logs(run)]


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    with server() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_API_URL", running.api_url)
        patch.setenv("PENSTOCK_HOME", str(running.home))
        for module in (flow_runs, session):
            patch.setattr(module, "LAST_WORDS", 60.0)  # a busy server hears of a run that is stopped, however late
        with running.client() as client:
            yield Accounts(running, client)
