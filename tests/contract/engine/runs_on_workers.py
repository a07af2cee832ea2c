"""What holds for tasks on the workers of any cluster: a test module's class inherits it, beside a fixture `runner`."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import ClassVar

from penstock import flow, get_run_logger, task
from penstock.context import get_run_context
from penstock.model.reasons import Reason
from penstock.model.states import StateCreate, StateType
from penstock.tasks import task_input_hash
from penstock.testing import wait_until


@task
def add(x, y=0):
    return x + y


@task
def endless(witness: Path):
    """Tells when it has begun and when it has stopped, and that it is alive in between."""
    witness.with_suffix(".begun").touch()
    try:
        while True:
            time.sleep(0.05)
            get_run_logger().info("alive")
    finally:
        witness.with_suffix(".stopped").touch()


class RunsOnWorkers:
    #: what the cluster says of a worker that died, somewhere in its words
    LOST: ClassVar[str]

    def test_five_hundred_mapped_tasks_are_all_accounted_for(self, accounts, runner):
        @flow(task_runner=runner)
        def mapping():
            futures = add.map(range(500), y=1)
            return sum(future.result() for future in futures), threading.active_count()

        threads = threading.active_count()
        total, at_most = mapping()
        assert total == sum(range(1, 501))
        assert at_most < threads + 40
        assert {run.state_name for run in accounts.task_runs(accounts.flow_run(mapping)).values()} == {"Completed"}

    def test_results_are_kept_and_found_again(self, accounts, runner, tmp_path):
        witness = tmp_path / "calls"

        @task(cache_key_fn=task_input_hash, persist_result=True)
        def costly(n):
            with witness.open("a") as file:
                file.write(".")
            return {"n": n}

        @flow(task_runner=runner)
        def caching():
            first = costly.submit(7).wait()
            second = costly.submit(7).wait()
            return first.name, second.name, second.result()

        assert caching() == ("Completed", "Cached", {"n": 7})
        assert witness.read_text() == "."

    def test_a_worker_that_dies_crashes_its_task_or_has_it_tried_again(self, accounts, runner):
        @task
        def dying():
            os.kill(os.getpid(), signal.SIGKILL)

        @task(retries=1)
        def dying_once():
            if get_run_context().run_count == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return "alive"

        @flow(task_runner=runner)
        def killing():
            crashed = dying.submit().wait(timeout=240)
            return crashed.name, crashed.message, dying_once.submit().result(timeout=240)

        name, message, second = killing()
        assert (name, second) == ("Crashed", "alive")
        assert self.LOST in message
        found = accounts.task_runs(accounts.flow_run(killing))
        assert found["dying-0"].state.state_details.reason is Reason.WORKER_LOST
        assert accounts.task_states(found["dying_once-0"]) == [
            "Pending", "Running", "AwaitingRetry", "Retrying", "Completed"
        ]  # fmt: skip

    def test_a_cancelled_run_stops_its_tasks_on_workers(self, accounts, runner, tmp_path):
        witness = tmp_path / "task"

        @flow(task_runner=runner)
        def cancelled():
            endless.submit(witness).wait()

        def cancel():
            wait_until(witness.with_suffix(".begun").exists, 120, "the task did not begin")
            run = accounts.flow_run(cancelled)
            accounts.client.set_flow_run_state(run.id, StateCreate(type=StateType.CANCELLING))

        canceller = threading.Thread(target=cancel)
        canceller.start()
        state = cancelled(return_state=True)
        canceller.join()
        assert state.name == "Cancelled"
        wait_until(witness.with_suffix(".stopped").exists, 120, "the task went on")
        (run,) = accounts.task_runs(accounts.flow_run(cancelled)).values()
        assert run.state_name == "Cancelled"
