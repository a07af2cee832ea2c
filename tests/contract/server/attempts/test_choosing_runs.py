"""Limits, priorities, pauses and types together, against the plainest possible model of what should be taken."""

import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from deployed_runs import ask_for, claimed, deploy, infrastructure

from penstock.model.flow_run_limits import FlowRunTagLimitCreate
from penstock.model.states import StateType
from penstock.model.work_pools import WorkPoolCreate
from penstock.server.database import tables as t
from penstock.server.operations.create_work_pool import create_work_pool
from penstock.server.operations.flow_run_tag_limits import create_flow_run_tag_limit


@dataclass
class Model:
    """What the server should do, said in the simplest way: all due runs in their order, each if all its limits allow."""

    limits: dict[Any, int] = field(default_factory=dict)
    live: dict[UUID, list[Any]] = field(default_factory=dict)
    #: run -> priority of its queue, when it is due, whether its queue is paused, type, what it counts against
    waiting: dict[UUID, tuple[int, Any, bool, str, list[Any]]] = field(default_factory=dict)

    def take(self, room: int, types: list[str]) -> list[UUID]:
        taken = []
        for run_id, (_, _, paused, kind, keys) in sorted(
            self.waiting.items(), key=lambda one: (one[1][0], one[1][1], one[0])
        ):
            used = [sum(key in keys_of for keys_of in self.live.values()) for key in keys]
            fits = all(count < self.limits[key] for key, count in zip(keys, used, strict=True) if key in self.limits)
            if len(taken) < room and not paused and kind in types and fits:
                self.live[run_id] = keys
                taken.append(run_id)
        for run_id in taken:
            del self.waiting[run_id]
        return taken


def some_world(world: Any, chance: random.Random) -> Model:
    """Queues, deployments, tags and runs with and without limits; the model of them."""
    model = Model()
    suffix = uuid4().hex[:8]
    pool = f"pool-{suffix}"
    limit = chance.choice([None, None, 2, 5])
    world.write(create_work_pool, WorkPoolCreate(name=pool, concurrency_limit=limit))
    if limit is not None:
        model.limits["pool"] = limit
    queues = {}
    for name in ("a", "b", "c", "d"):
        limit, paused, priority = chance.choice([None, None, 1, 3]), chance.random() < 0.15, chance.randint(1, 2)
        world.queue(name, pool, concurrency_limit=limit, priority=priority, is_paused=paused)
        queues[name] = (priority, paused)
        if limit is not None:
            model.limits["queue", name] = limit
    tags = [f"{tag}-{suffix}" for tag in ("x", "y", "z")]
    for tag in tags[:2]:
        model.limits["tag", tag] = limit = chance.choice([0, 1, 2, 3])
        world.write(create_flow_run_tag_limit, FlowRunTagLimitCreate(tag=tag, concurrency_limit=limit))
    other = infrastructure(world, "ecs-task")
    for number in range(5):
        queue, limit = chance.choice("abcd"), chance.choice([None, None, 0, 1, 2])
        kind = chance.choice(["process", "process", "process", "ecs-task"])
        document = other if kind == "ecs-task" else None
        deployment_id = deploy(
            world,
            queue,
            f"{number}-{suffix}",
            limit,
            work_pool_name=pool,
            infrastructure_document_id=document,
        )
        if limit is not None:
            model.limits["deployment", number] = limit
        for _ in range(chance.randint(0, 9)):
            of_run = chance.sample(tags, chance.choice([0, 0, 1, 2]))
            due, name = chance.randint(-4, 0), queue if chance.random() < 0.8 else chance.choice("abcd")
            run_id = ask_for(world, deployment_id, due, tags=of_run, work_queue_name=name)
            keys = ["pool", ("queue", name), ("deployment", number), *(("tag", tag) for tag in of_run)]
            priority, paused = queues[name]
            model.waiting[run_id] = (priority, due, paused, kind, keys)
    world.pool = pool
    return model


@pytest.mark.parametrize("seed", range(4))
def test_what_is_taken_is_what_a_plain_model_takes_whatever_limits_there_are(world: Any, seed: int) -> None:
    chance = random.Random(seed)
    model = some_world(world, chance)
    agent_id = uuid4()
    held: dict[UUID, UUID] = {}
    taken = 0
    for _ in range(6):
        room = chance.choice([1, 2, 5, 40])
        types = chance.choice([["process"], ["process", "ecs-task"]])
        orders = world.poll(
            agent_id,
            work_pool=world.pool,
            work_queues=[],
            capacity=room,
            capabilities=types,
            attempts=list(held.values()),
        )
        assert set(claimed(orders)) == set(model.take(room, types))
        taken += len(orders.claims)
        held |= {claim.flow_run.id: claim.attempt.id for claim in orders.claims}
        for run_id in chance.sample(sorted(model.live), min(len(model.live), chance.randint(0, 3))):
            world.propose(run_id, StateType.COMPLETED, force=True)
            world.report(held.pop(run_id), agent_id, observation=world.ended(code=0), gone=True)
            del model.live[run_id]
    assert taken


def test_a_deployment_that_is_full_holds_up_nobody_behind_it_however_many_of_its_runs_wait(world: Any) -> None:
    full = deploy(world, "q", "full", 1)
    for number in range(40):
        ask_for(world, full, due=-100 + number)
    other = ask_for(world, deploy(world, "q", "other"), due=-1)
    agent_id = uuid4()
    assert len(world.poll(agent_id, capacity=1).claims) == 1
    assert claimed(world.poll(uuid4(), capacity=1)) == [other]
    assert world.poll(uuid4(), capacity=5).claims == []


def test_a_wait_for_slots_of_many_full_deployments_takes_few_questions(world: Any) -> None:
    for number in range(30):
        deployment_id = deploy(world, "q", f"full-{number}", 1)
        for _ in range(3):
            ask_for(world, deployment_id, due=-50)
    first = world.poll(capacity=100).claims
    assert len({claim.flow_run.deployment_id for claim in first}) == len(first) == 30
    free = ask_for(world, deploy(world, "q", "free"))
    asked: list[str] = []

    def remember(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    sa.event.listen(world.database.engine, "before_cursor_execute", remember)
    assert claimed(world.poll(capacity=1)) == [free]
    assert len(asked) < 40, asked


def test_among_queues_of_equal_priority_the_run_that_has_been_due_for_longest_comes_first(world: Any) -> None:
    queues = [world.queue(f"even-{number}", priority=3) for number in range(6)]
    runs = [world.run(queue, due=-1 - age) for age, queue in enumerate(queues * 4)]
    names = [f"even-{number}" for number in range(6)]
    taken = [claimed(world.poll(work_queues=names, capacity=1))[0] for _ in runs]
    assert taken == runs[::-1]


def test_a_queue_that_waits_is_served_though_another_of_equal_priority_never_runs_empty(world: Any) -> None:
    busy, quiet = world.queue("busy", priority=1), world.queue("quiet", priority=1)
    for number in range(20):
        world.run(busy, due=-20 + number)
    mine = world.run(quiet, due=-10)
    turns = 0
    while claimed(world.poll(work_queues=["busy", "quiet"], capacity=1)) != [mine]:
        world.time.forward(1)
        world.run(busy)
        turns += 1
    assert turns <= 11, "only those that had been due for longer came before it"


def test_limits_that_are_raised_lowered_and_cleared_hold_from_the_next_claim_on(world: Any) -> None:
    deployment_id = deploy(world, "q", "d", 2)
    for _ in range(9):
        ask_for(world, deployment_id)
    assert len(world.poll(capacity=9).claims) == 2
    world.change(t.deployment, deployment_id, concurrency_limit=1)
    assert world.poll(capacity=9).claims == []
    world.change(t.deployment, deployment_id, concurrency_limit=5)
    assert len(world.poll(capacity=9).claims) == 3
    world.change(t.deployment, deployment_id, concurrency_limit=None)
    assert len(world.poll(capacity=9).claims) == 4


def test_an_agent_gets_only_runs_on_infrastructure_that_it_can_run(world: Any) -> None:
    elsewhere = ask_for(world, deploy(world, "q", "ecs", infrastructure_document_id=infrastructure(world, "ecs-task")))
    by_run = world.run(infrastructure_document_id=infrastructure(world, "ecs-task"))
    here = ask_for(world, deploy(world, "q", "local"))
    gone = world.run(infrastructure_document_id=uuid4())
    orders = world.poll(capacity=9, capabilities=["process"])
    assert claimed(orders) == [here]
    assert world.run_row(gone).state_type == StateType.CRASHED, "what nobody can ever run is told at once"
    assert set(claimed(world.poll(capacity=9, capabilities=["ecs-task"]))) == {elsewhere, by_run}


def test_an_agent_without_the_default_type_leaves_runs_without_a_block_alone(world: Any) -> None:
    world.run()
    assert world.poll(capabilities=["ecs-task"]).claims == []
    assert len(world.poll(capabilities=[]).claims) == 1, "an agent that says nothing takes any"


def test_an_agent_serves_queues_of_several_pools_by_priority_and_within_the_limit_of_each(world: Any) -> None:
    for name, limit in (("one", 1), ("two", None)):
        world.write(create_work_pool, WorkPoolCreate(name=name, concurrency_limit=limit))
    low, high = world.queue("jobs", "one", priority=2), world.queue("jobs", "two", priority=1)
    of_low = [world.run(low, due=-9 + number) for number in range(3)]
    of_high = [world.run(high, due=-1), world.run(high, due=0)]
    ask = {"work_pools": ["one", "two"], "work_queues": ["jobs"]}
    assert set(claimed(world.poll(capacity=2, **ask))) == set(of_high)
    assert claimed(world.poll(capacity=9, **ask)) == of_low[:1]


def test_a_queue_that_is_named_comes_into_being_in_each_pool(world: Any) -> None:
    for name in ("one", "two"):
        world.write(create_work_pool, WorkPoolCreate(name=name))
    world.poll(work_pools=["one", "two"], work_queues=["new"])
    found = sa.select(sa.func.count()).where(t.work_queue.c.name == "new")
    assert world.write(lambda tx: tx.execute(found).scalar_one()) == 2


def test_a_pattern_means_whole_names_and_queues_that_are_made_later(world: Any) -> None:
    runs = [world.run(world.queue(name)) for name in ("etl-night", "etl-day", "web-night")]
    asked = {"work_queues": [], "work_queue_prefixes": ["etl-*t", "w?b-*"], "capacity": 9}
    assert set(claimed(world.poll(**asked))) == {runs[0], runs[2]}
    later = world.run(world.queue("etl-east"))
    assert claimed(world.poll(**asked)) == [later]


def test_an_agent_that_ramps_up_gets_more_only_when_user_code_has_begun(world: Any) -> None:
    runs = [world.run(due=-9 + number) for number in range(4)]
    agent_id = uuid4()
    first = [claim.attempt.id for claim in world.poll(agent_id, capacity=9, ramp_up=2).claims]
    assert len(first) == 2
    assert world.poll(agent_id, capacity=9, ramp_up=2, attempts=first).claims == []
    world.intend(first[0], agent_id)
    world.present(first[0])
    more = world.poll(agent_id, capacity=9, ramp_up=2, attempts=first)
    assert claimed(more) == [runs[2]]


def test_a_run_that_somebody_asked_for_starts_though_its_deployment_is_paused(world: Any) -> None:
    deployment_id = deploy(world, "q")
    asked_for = ask_for(world, deployment_id)
    world.change(t.deployment, deployment_id, paused=True)
    assert claimed(world.poll()) == [asked_for]
