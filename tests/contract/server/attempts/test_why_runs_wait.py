"""Each cause for which a run waits is told in a true sentence, and without the cause the run starts."""

from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from deployed_runs import ask_for, claimed, deploy, infrastructure

from penstock.model.deployments import DeploymentScheduleCreate
from penstock.model.flow_run_limits import FlowRunTagLimitCreate
from penstock.model.states import StateType
from penstock.model.work_pools import DEFAULT_POOL, WorkPoolCreate, WorkPoolUpdate
from penstock.model.work_queues import WorkQueueUpdate
from penstock.server.database import tables as t
from penstock.server.operations.change_deployment_schedules import create_deployment_schedules
from penstock.server.operations.create_work_pool import create_work_pool
from penstock.server.operations.explain_flow_run import explain_flow_run
from penstock.server.operations.flow_run_tag_limits import create_flow_run_tag_limit, delete_flow_run_tag_limit
from penstock.server.operations.update_work_pool import update_work_pool
from penstock.server.operations.update_work_queue import update_work_queue


def why(world: Any, run_id: UUID) -> str:
    found: str = world.write(explain_flow_run, run_id)["explanation"]
    return found


@pytest.fixture
def agent_id(world: Any) -> UUID:
    """An agent that serves the queue, and has nothing yet."""
    found = uuid4()
    world.poll(found, name="bob", capabilities=["process"])
    return found


def starts(world: Any, run_id: UUID, agent_id: UUID, **asked: Any) -> bool:
    """Whether the agent is given the run by its next poll."""
    held = [row.id for row in world.write(lambda tx: tx.execute(t.attempt.select()).all()) if row.agent_id == agent_id]
    asked = {"name": "bob", "capabilities": ["process"], "capacity": 5, **asked}
    return run_id in claimed(world.poll(agent_id, attempts=held, **asked))


def planned_by_schedule(world: Any, deployment_id: UUID, max_active_runs: int) -> None:
    """Give the deployment a schedule, and call its runs those of the schedule."""
    asked = DeploymentScheduleCreate.model_validate(
        {"schedule": {"interval": 3600}, "max_active_runs": max_active_runs}
    )
    (made,) = world.write(create_deployment_schedules, deployment_id, [asked])
    mine = t.flow_run.c.deployment_id == deployment_id
    world.write(lambda tx: tx.execute(sa.update(t.flow_run).where(mine).values(schedule_id=made.id)))


def finish(world: Any, run_id: UUID, agent_id: UUID) -> None:
    (attempt,) = world.attempts(run_id)
    world.propose(run_id, StateType.COMPLETED, force=True)
    world.report(attempt.id, agent_id, observation=world.ended(code=0), gone=True)


def test_it_is_not_due_yet(world: Any, agent_id: UUID) -> None:
    run_id = world.run(due=90)
    assert why(world, run_id).startswith("It is due at ")
    assert why(world, run_id).endswith(" UTC, in 90 s.")
    assert not starts(world, run_id, agent_id)
    world.time.forward(91)
    assert starts(world, run_id, agent_id)


def test_its_queue_is_paused(world: Any, agent_id: UUID) -> None:
    run_id = world.run()
    world.write(update_work_queue, world.queue_id, WorkQueueUpdate(is_paused=True))
    assert why(world, run_id) == "Work queue 'q' is paused: penstock work-queue resume q."
    assert not starts(world, run_id, agent_id)
    world.write(update_work_queue, world.queue_id, WorkQueueUpdate(is_paused=False))
    assert starts(world, run_id, agent_id)


def test_its_pool_is_paused(world: Any, agent_id: UUID) -> None:
    run_id = world.run()
    world.write(update_work_pool, DEFAULT_POOL, WorkPoolUpdate(is_paused=True))
    assert why(world, run_id) == f"Work pool '{DEFAULT_POOL}' is paused: penstock work-pool resume {DEFAULT_POOL}."
    assert not starts(world, run_id, agent_id)
    world.write(update_work_pool, DEFAULT_POOL, WorkPoolUpdate(is_paused=False))
    assert starts(world, run_id, agent_id)


def test_no_agent_has_ever_asked_for_its_queue(world: Any, agent_id: UUID) -> None:
    run_id = world.run(world.queue("lonely"))
    expected = "No agent has ever asked for work queue 'lonely': penstock agent start -q lonely."
    assert why(world, run_id) == expected
    assert starts(world, run_id, agent_id, work_queues=["lonely"])


def test_in_a_pool_the_sentence_names_it(world: Any, agent_id: UUID) -> None:
    world.write(create_work_pool, WorkPoolCreate(name="my pool"))
    run_id = world.run(world.queue("lonely", "my pool"))
    assert why(world, run_id) == (
        "No agent has ever asked for work queue 'lonely' of work pool 'my pool': "
        "penstock agent start -q lonely -p 'my pool'."
    )
    assert starts(world, run_id, agent_id, work_pools=["my pool"], work_queues=[])


def test_its_agent_has_gone_away_and_since_when(world: Any, agent_id: UUID) -> None:
    last = world.time.now
    world.time.forward(120)
    run_id = world.run()
    said = f"No agent has asked for work queue 'q' since {last:%Y-%m-%d %H:%M:%S} UTC: penstock agent start -q q."
    assert why(world, run_id) == said
    assert starts(world, run_id, agent_id)


def test_an_agent_that_leaves_counts_no_more(world: Any, agent_id: UUID) -> None:
    world.poll(agent_id, draining=True)
    world.time.forward(40)
    assert why(world, world.run()).startswith("No agent has asked for work queue 'q' since ")


def test_no_agent_can_run_its_infrastructure(world: Any, agent_id: UUID) -> None:
    run_id = ask_for(world, deploy(world, "q", infrastructure_document_id=infrastructure(world, "ecs-task")))
    assert why(world, run_id) == (
        "It needs ecs-task, which no agent of work queue 'q' can run: 'bob' can run process. "
        "Start one that can, or give its deployment other infrastructure."
    )
    assert not starts(world, run_id, agent_id)
    assert starts(world, run_id, uuid4(), capabilities=["process", "ecs-task"])


@pytest.mark.parametrize("limited", ["queue", "pool", "deployment", "tag", "schedule"])
def test_a_limit_is_used_up_and_by_whom(world: Any, agent_id: UUID, limited: str) -> None:
    deployment_id = deploy(world, "q", limit=1 if limited == "deployment" else None)
    if limited == "queue":
        world.write(update_work_queue, world.queue_id, WorkQueueUpdate(concurrency_limit=1))
    if limited == "pool":
        world.write(update_work_pool, DEFAULT_POOL, WorkPoolUpdate(concurrency_limit=1))
    if limited == "tag":
        world.write(create_flow_run_tag_limit, FlowRunTagLimitCreate(tag="night", concurrency_limit=1))
    holder = ask_for(world, deployment_id, due=-9, tags=["night"], name="slow-owl")
    run_id = ask_for(world, deployment_id, tags=["night"])
    another = ask_for(world, deployment_id, due=15, tags=["night"])
    if limited == "schedule":
        planned_by_schedule(world, deployment_id, max_active_runs=1)
    assert starts(world, holder, agent_id)
    world.time.forward(10)
    of = {
        "queue": "work queue 'q'",
        "pool": f"work pool '{DEFAULT_POOL}'",
        "deployment": "deployment 'flow/d'",
        "tag": "flow runs with the tag 'night'",
        "schedule": "its schedule (max_active_runs)",
    }[limited]
    expected = f"The concurrency limit of {of} is used up (1/1) by slow-owl (Pending, taken 10 s ago)."
    assert why(world, run_id) == expected
    world.time.forward(5)
    assert why(world, another).endswith(" 1 run due before it waits for it too.")
    assert not starts(world, run_id, agent_id)
    finish(world, holder, agent_id)
    assert starts(world, run_id, agent_id)


def test_a_limit_is_zero(world: Any, agent_id: UUID) -> None:
    world.write(create_flow_run_tag_limit, FlowRunTagLimitCreate(tag="night", concurrency_limit=0))
    run_id = world.run(tags=["night"])
    expected = "The concurrency limit of flow runs with the tag 'night' is 0, so that nothing starts until it is raised"
    assert why(world, run_id).startswith(expected)
    assert not starts(world, run_id, agent_id)
    world.write(delete_flow_run_tag_limit, "night")
    assert starts(world, run_id, agent_id)


def test_nobody_has_seen_the_job_of_the_run_that_holds_the_slot(world: Any, agent_id: UUID) -> None:
    world.write(update_work_queue, world.queue_id, WorkQueueUpdate(concurrency_limit=1))
    holder = world.run(name="lost-owl", due=-9)
    attempt_id = world.started(holder, agent_id)
    world.judge(after=16)
    assert world.attempt(attempt_id).unobserved_since is not None
    other = uuid4()
    world.poll(other, name="amy", reaches=["elsewhere"])
    run_id = world.run()
    assert "lost-owl (Running, taken 16 s ago, its job unseen since " in why(world, run_id)


def test_its_agents_have_as_many_runs_as_they_may_have(world: Any, agent_id: UUID) -> None:
    holder = world.run(due=-9)
    assert starts(world, holder, agent_id, limit=1)
    first, run_id = world.run(due=-5), world.run()
    assert why(world, run_id) == (
        "It waits for an agent of work queue 'q' with room: 'bob' has 1 of at most 1 runs. "
        "Before it comes 1 run that has been due for longer."
    )
    assert not starts(world, run_id, agent_id, limit=1)
    finish(world, holder, agent_id)
    assert starts(world, first, agent_id, limit=1)
    finish(world, first, agent_id)
    assert starts(world, run_id, agent_id, limit=1)


def test_its_agent_is_starting_as_many_as_it_may_at_once(world: Any, agent_id: UUID) -> None:
    holder = world.run(due=-9)
    assert starts(world, holder, agent_id, ramp_up=1)
    run_id = world.run()
    assert "'bob' is starting 1 runs, and at most 1 at once." in why(world, run_id)
    assert not starts(world, run_id, agent_id, ramp_up=1)
    (attempt,) = world.attempts(holder)
    world.intend(attempt.id, agent_id)
    world.present(attempt.id)
    assert starts(world, run_id, agent_id, ramp_up=1)


def test_runs_of_queues_with_higher_priority_come_first(world: Any, agent_id: UUID) -> None:
    first = world.queue("first", priority=1)
    world.write(update_work_queue, world.queue_id, WorkQueueUpdate(priority=2))
    asked = {"work_queues": ["first", "q"], "capacity": 1}
    assert not starts(world, uuid4(), agent_id, **asked)
    run_id = world.run(due=-60)
    before = [world.run(first, due=due) for due in (-2, -1)]
    said = "It is due, and the next free agent of work queue 'q' takes it. "
    assert why(world, run_id) == f"{said}Before it come 2 runs in queues of higher priority."
    assert starts(world, before[0], agent_id, **asked)
    assert starts(world, before[1], agent_id, **asked)
    assert why(world, run_id) == said.strip()
    assert starts(world, run_id, agent_id, **asked)
