"""Many agents at once: each run to exactly one of them, limits never exceeded, lost answers lose nothing."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from penstock.model.deployments import DeploymentCreate
from penstock.model.flow_run_limits import FlowRunTagLimitCreate
from penstock.model.reasons import Reason
from penstock.model.work_pools import WorkPoolCreate
from penstock.server.database import tables as t
from penstock.server.operations.create_deployment import create_deployment
from penstock.server.operations.create_work_pool import create_work_pool
from penstock.server.operations.flow_run_tag_limits import create_flow_run_tag_limit

AGENTS, RUNS = 8, 200


def in_parallel(work: Any, count: int = AGENTS) -> list[Any]:
    """`work(number)` in `count` threads that begin together."""
    gate = threading.Barrier(count)

    def start(number: int) -> Any:
        gate.wait(120)
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return [future.result() for future in [threads.submit(start, number) for number in range(count)]]


def test_each_of_many_runs_goes_to_exactly_one_of_many_agents(world: Any) -> None:
    runs = {world.run() for _ in range(RUNS)}

    def agent(number: int) -> list[UUID]:
        agent_id, held, got = uuid4(), [], []
        chance = random.Random(number)
        misses = 0
        while misses < 3:
            poll = world.ask(agent_id, capacity=chance.randint(1, 9), attempts=list(held))
            orders = world.write_claims(poll)
            if chance.random() < 0.3:
                continue  # the answer was lost: the next poll must bring these claims again
            misses = 0 if orders.claims else misses + 1
            held += [claim.attempt.id for claim in orders.claims]
            got += [claim.flow_run.id for claim in orders.claims]
        return got

    claimed = Counter(run_id for got in in_parallel(agent) for run_id in got)
    assert set(claimed) == runs
    assert set(claimed.values()) == {1}
    attempts = world.write(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(t.attempt)).scalar_one())
    assert attempts == RUNS


@pytest.mark.parametrize("limit_of", ["queue", "pool", "deployment", "tag"])
def test_a_limit_holds_however_many_ask_at_once(world: Any, limit_of: str) -> None:
    of_run: dict[str, Any] = {}
    if limit_of == "queue":
        pool, queues = None, [world.queue("limited", concurrency_limit=3)]
    else:
        world.write(create_work_pool, WorkPoolCreate(name="pool", concurrency_limit=3 if limit_of == "pool" else None))
        pool, queues = "pool", [world.queue("limited", "pool"), world.queue("limited too", "pool")]
    if limit_of == "deployment":
        asked = DeploymentCreate(name="d", flow_id=world.flow_id, concurrency_limit=3, work_pool_name="pool")
        of_run["deployment_id"] = world.write(create_deployment, asked)[0].id
    if limit_of == "tag":
        world.write(create_flow_run_tag_limit, FlowRunTagLimitCreate(tag="night", concurrency_limit=3))
        of_run["tags"] = ["night"]
    for number in range(40):
        world.run(queues[number % len(queues)], **of_run)
    highest: list[int] = []

    done: list[UUID] = []

    def agent(number: int) -> None:
        agent_id, deadline = uuid4(), monotonic() + 200
        name = "limited" if number % 2 or len(queues) == 1 else "limited too"
        # however often it misses: who has the slots may be slow
        while len(done) < 40 and monotonic() < deadline:
            orders = world.write_claims(world.ask(agent_id, work_pool=pool, work_queues=[name], capacity=2))
            highest.append(world.write(open_attempts))
            for claim in orders.claims:
                world.report(claim.attempt.id, agent_id, failure=True, reason=Reason.IMAGE_NOT_FOUND)
                done.append(claim.flow_run.id)

    in_parallel(agent, 4)
    assert len(done) == len(set(done)) == 40
    assert 1 <= max(highest) <= 3


def open_attempts(tx: Any) -> int:
    query = sa.select(sa.func.count()).select_from(t.attempt).where(t.attempt.c.ended_at.is_(None))
    count: int = tx.execute(query).scalar_one()
    return count


def test_an_orphan_is_adopted_by_exactly_one(world: Any) -> None:
    agent_id = uuid4()
    for _ in range(10):
        world.run()
    for claim in world.poll(agent_id, capacity=10).claims:
        world.intend(claim.attempt.id, agent_id)
    world.time.forward(16)
    adopted = Counter(claim.attempt.id for orders in in_parallel(lambda _: world.poll()) for claim in orders.claims)
    assert len(adopted) == 10
    assert set(adopted.values()) == {1}
