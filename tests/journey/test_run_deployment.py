"""A flow that asks for a run of a deployment has it as its subflow: tracked, taken over, cancelled with it."""

from typing import TYPE_CHECKING, Any

import pytest

from penstock import flow, task
from penstock.client import flow_runs, task_runs
from penstock.deployments import run_deployment
from penstock.model.states import StateType
from penstock.testing import wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

DOUBLES = """
    @flow
    def main(x: int = 1, name: str = "doubled"):
        mark(name, 2 * x)
        if x < 0:
            raise ValueError("negative")
        return 2 * x
"""


@pytest.fixture
def here(shared_world: "World", monkeypatch: pytest.MonkeyPatch) -> "World":
    """The world, with this very process speaking to its server."""
    monkeypatch.setenv("PENSTOCK_API_URL", shared_world.server.api_url)
    monkeypatch.setenv("PENSTOCK_HOME", str(shared_world.server.home))
    return shared_world


def placeholders(world: "World", parent_id: Any) -> list[Any]:
    only = {"id": {"any_": [str(parent_id)]}}
    return world.client.send(task_runs.read_task_runs(flow_run_filter=only, sort="ID_DESC", limit=200))


def test_a_run_that_a_flow_asks_for_is_its_subflow(here: "World") -> None:
    deployment = here.deploy(DOUBLES)

    @task
    def seven() -> int:
        return 7

    @flow
    def asks_for_one():
        from penstock.runtime import flow_run

        made = run_deployment(deployment.id, parameters={"x": seven.submit(), "name": "asked"}, tags=["asked"])
        return made, flow_run.id

    made, parent_id = asks_for_one()
    assert made.state.is_completed()
    assert here.marked("asked") == ["14"]
    assert made.tags == ["asked"]
    (placeholder,) = [run for run in placeholders(here, parent_id) if run.task_key.startswith("deployment ")]
    assert placeholder.id == made.parent_task_run_id
    assert placeholder.state_type is StateType.COMPLETED
    assert placeholder.state.state_details.child_flow_run_id == made.id
    assert len(placeholder.task_inputs["x"]) == 1, "where the parameter came from is known"


async def asks_for_two(deployment: Any) -> list[Any]:
    import asyncio

    @flow
    async def asking():
        wanted = (run_deployment(deployment.id, parameters={"x": x, "name": f"gathered-{x}"}) for x in (1, 2))
        return await asyncio.gather(*wanted)

    return await asking()


def test_asynchronous_flows_await_their_runs_side_by_side(here: "World") -> None:
    import asyncio

    found = asyncio.run(asks_for_two(here.deploy(DOUBLES)))
    assert [run.state_type for run in found] == [StateType.COMPLETED] * 2
    assert (here.marked("gathered-1"), here.marked("gathered-2")) == (["2"], ["4"])


def test_a_flow_that_is_tried_again_takes_over_what_completed_and_repeats_what_failed(here: "World") -> None:
    deployment = here.deploy(DOUBLES)
    tries: list[list[Any]] = []

    @flow(retries=1)
    def asks_twice():
        good = run_deployment(deployment.id, parameters={"x": 1, "name": "good"})
        bad = run_deployment(deployment.id, parameters={"x": -1, "name": "bad"})
        tries.append([good.id, bad.id])
        if bad.state.is_failed():
            raise RuntimeError("the second one failed")

    assert asks_twice(return_state=True).is_failed()
    (first_good, first_bad), (second_good, second_bad) = tries
    assert first_good == second_good
    assert first_bad != second_bad
    assert (len(here.marked("good")), len(here.marked("bad"))) == (1, 2)


def test_one_idempotency_key_is_one_run(here: "World") -> None:
    deployment = here.deploy(DOUBLES)

    @flow
    def asks_under_a_key():
        return [run_deployment(deployment.id, idempotency_key="once", timeout=0).id for _ in range(2)]

    first, second = asks_under_a_key()
    assert first == second


def test_a_run_that_nobody_waits_for_goes_on_and_its_placeholder_follows(here: "World") -> None:
    deployment = here.deploy('@flow\ndef main():\n    mark("let-go")\n    wait_for("let-go-on")')

    @flow
    def does_not_wait():
        from penstock.runtime import flow_run

        return run_deployment(deployment.id, timeout=0), flow_run.id

    made, parent_id = does_not_wait()
    assert not made.state.is_final()
    here.wait_for(made, StateType.RUNNING)
    wait_until(
        lambda: placeholders(here, parent_id)[0].state_type is StateType.RUNNING, message="its placeholder follows"
    )
    here.let("let-go-on")
    here.wait_for(made, StateType.COMPLETED)
    assert placeholders(here, parent_id)[0].state_type is StateType.COMPLETED


def test_a_run_apart_from_the_flow_has_no_parent(here: "World") -> None:
    deployment = here.deploy(DOUBLES)

    @flow
    def asks_for_another():
        return run_deployment(deployment.id, as_subflow=False, timeout=0)

    assert asks_for_another().parent_task_run_id is None


PARENT = """
    from penstock.deployments import run_deployment

    @flow
    def main(tracked: str, apart: str):
        run_deployment(apart, as_subflow=False, timeout=0)
        mark("asked-for-both")
        run_deployment(tracked)
"""


def test_what_a_flow_has_asked_for_is_cancelled_with_it_and_what_is_apart_is_not(here: "World") -> None:
    waits = '@flow\ndef main():\n    mark("%s")\n    wait_for("end-of-%s")'
    tracked, apart = (here.deploy(waits % (name, name)) for name in ("tracked", "apart"))
    parent = here.run(here.deploy(PARENT), tracked=str(tracked.id), apart=str(apart.id))
    here.wait_for_mark("tracked")
    here.wait_for_mark("apart")
    here.wait_for(parent, StateType.RUNNING)
    (placeholder,) = placeholders(here, parent.id)
    child = placeholder.state.state_details.child_flow_run_id
    here.cancel(parent)
    here.wait_for(parent, StateType.CANCELLED)
    wait_until(lambda: here.read(child).state_type is StateType.CANCELLED, 120, "the tracked run is cancelled")
    assert placeholders(here, parent.id)[0].state_type is StateType.CANCELLED
    only = {"id": {"any_": [str(apart.id)]}}
    (other,) = here.client.send(flow_runs.read_flow_runs(deployment_filter=only))
    assert other.state_type is StateType.RUNNING
    here.let("end-of-apart")
    here.wait_for(other, StateType.COMPLETED)
