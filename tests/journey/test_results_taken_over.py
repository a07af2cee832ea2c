"""A run whose process died is run again: what had completed, and left a result that can be read, is not done twice."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from penstock.model.states import StateType
from penstock.results.blobs import unpack

SOURCE = """
from penstock.client import get_sync_client
from penstock.runtime import flow_run

def wait_until_the_server_knows(count):
    only = {{"id": {{"any_": [flow_run.id]}}}}
    with get_sync_client() as client:
        while sum(t.state.is_completed() for t in client.read_task_runs(flow_run_filter=only)) < count:
            time.sleep(0.05)

@task(persist_result=True)
def kept(n):
    mark("kept-{name}", n)
    return {{"n": n, "of": (n,)}}

@task(persist_result=True)
def nothing():
    mark("nothing-{name}", "x")

@task
def forgotten(n):
    mark("forgotten-{name}", n)
    return n

@flow(persist_result=True)
def child(n):
    mark("child-{name}", n)
    return [kept(n)]

@flow(persist_result=True)
def main():
    results = [future.result() for future in kept.map([1, 2])]
    nothing()
    results.append(forgotten(3))
    results.append(child(4))
    mark("tries-{name}")
    if len(open(PROBES / "tries-{name}").readlines()) == 1:
        wait_until_the_server_knows(5)
        os.kill(os.getpid(), signal.SIGKILL)
    return results
"""


class Retried:
    """A run of SOURCE by hand, whose first process has died at its end."""

    def __init__(self, world):
        self.world, self.name = world, uuid4().hex
        self.run = world.run(world.deploy(SOURCE.format(name=self.name), queue=f"queue-{self.name}"))
        assert self.process().returncode == -signal.SIGKILL

    def process(self):
        env = {
            **self.world.server.env,
            "PENSTOCK__FLOW_RUN_ID": str(self.run.id),
            "PENSTOCK_LOCAL_STORAGE_PATH": str(self.storage),
        }
        command = [sys.executable, "-m", "penstock.engine"]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)

    @property
    def storage(self):
        return self.world.folder / f"storage-{self.name}"

    def marks(self, what):
        return (self.world.probes() / f"{what}-{self.name}").read_text().split()


@pytest.fixture
def retried(shared_world):
    return Retried(shared_world)


def test_what_has_completed_is_taken_over_with_its_result(retried):
    done = retried.process()
    assert done.returncode == 0, done.stderr
    assert sorted(retried.marks("kept")) == ["1", "2", "4"]
    assert (retried.marks("nothing"), retried.marks("child")) == (["x"], ["4"])
    assert retried.marks("forgotten") == ["3", "3"]
    first, second, fourth = ({"n": n, "of": (n,)} for n in (1, 2, 4))
    assert retried.world.read(retried.run).state.result() == [first, second, 3, [fourth]]


def test_what_cannot_be_read_here_is_done_again(retried):
    shutil.rmtree(retried.storage)
    done = retried.process()
    assert done.returncode == 0, done.stderr
    assert sorted(retried.marks("kept")) == ["1", "1", "2", "2", "4", "4"]
    assert (retried.marks("nothing"), retried.marks("child")) == (["x"], ["4", "4"])
    assert "has completed before, but is run again" in done.stderr
    only = {"id": {"any_": [str(retried.run.id)]}}
    found = retried.world.client.read_task_runs(flow_run_filter=only)
    assert sorted(task_run.name for task_run in found) == ["child-0", "forgotten-0", "kept-0", "kept-1", "nothing-0"]
    assert {task_run.state_name for task_run in found} == {"Completed"}


GUARDED = """
from penstock.filesystems import LocalFileSystem
from penstock.tasks import task_input_hash
from penstock.blocks.base import Block
from pydantic import SecretStr

class Chest(LocalFileSystem):
    _block_type_slug = "test-chest"
    lock: SecretStr = SecretStr("")

@task(cache_key_fn=task_input_hash, result_storage=Chest(basepath={folder!r}, lock=SecretStr("secret")))
def kept(n):
    mark("kept-guarded")
    return n + 1

@task(persist_result=True, result_storage="test-chest/saved")
def elsewhere():
    return Block.load("test-chest/saved").lock.get_secret_value()

@flow
def main(n: int):
    assert "PENSTOCK_API_KEY" not in os.environ
    if not (PROBES / "saved-guarded").exists():
        mark("saved-guarded")
        Chest(basepath={folder!r}, lock=SecretStr("of the saved")).save("saved")
    state = kept(n, return_state=True)
    return [state.name, state.result(), elsewhere()]

main = main.with_options(persist_result=True)
"""


def test_a_job_without_the_servers_key_writes_reads_and_caches_results(tmp_path, make_world):
    with make_world(tmp_path / "world", env={"PENSTOCK_SERVER_API_KEY": "right"}) as guarded:
        deployment = guarded.deploy(GUARDED.format(folder=str(tmp_path / "chest")))
        guarded.agent("-q", "queue", env={"PENSTOCK_API_KEY": "right"})
        names = []
        for _ in range(2):
            run = guarded.wait_for(guarded.run(deployment, n=1), StateType.COMPLETED)
            reference = run.state.data
            content = Path(reference["storage_key"]).read_bytes()
            names.append(unpack(content))
        assert names == [["Completed", 2, "of the saved"], ["Cached", 2, "of the saved"]]
        assert len(guarded.marked("kept-guarded")) == 1
