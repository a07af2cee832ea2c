"""Hooks of deployed runs: called in the job, also when it is stopped, and by nobody else."""

from typing import TYPE_CHECKING

import pytest

from penstock.model.states import StateType

if TYPE_CHECKING:
    from tests.journey.conftest import World

HOOKED = """
    def hook(of, run, state):
        mark("hooks", state.name)

    @flow(retries=1, on_running=[hook], on_completion=[hook], on_failure=[hook], on_crashed=[hook], on_cancellation=[hook])
    def main(how: str = "waits"):
        if how == "fails":
            raise ValueError("no")
        if how == "leaves":
            sys.exit(3)
        try:
            mark("begun")
            wait_for("go on")
        finally:
            mark("hooks", "finally")

    @flow(on_cancellation=[hook], on_running=[hook])
    async def waits_asynchronously():
        import asyncio
        mark("begun")
        await asyncio.sleep(600)
"""


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("fails", ["Running", "Retrying", "Failed"]),
        ("leaves", ["Running", "Crashed"]),
        ("waits", ["Running", "finally", "Completed"]),
    ],
)
def test_a_jobs_hooks_are_called_in_the_job(world: "World", how: str, expected: list[str]) -> None:
    world.agent("-q", "queue")
    world.let("go on")
    run = world.run(world.deploy(HOOKED), how=how)
    world.wait_for(run)
    world.ended(run)
    assert world.marked("hooks") == expected


@pytest.mark.parametrize(
    ("entrypoint", "expected"),
    [("main", ["Running", "finally", "Cancelling"]), ("waits_asynchronously", ["Running", "Cancelling"])],
)
def test_a_cancelled_jobs_hooks_are_called_before_it_is_gone(
    world: "World", entrypoint: str, expected: list[str]
) -> None:
    world.agent("-q", "queue")
    patient = {"grace_seconds": 120}  # who leaves by itself is not hurried, however busy the machine
    run = world.run(world.deploy(HOOKED, entrypoint=f"code.py:{entrypoint}", infra_overrides=patient))
    world.wait_for_mark("begun")
    world.cancel(run)
    world.wait_for(run, StateType.CANCELLED)
    assert world.marked("hooks") == expected
