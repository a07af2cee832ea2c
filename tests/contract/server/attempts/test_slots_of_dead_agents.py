"""A hung run whose agent is dead holds its slots until its start limit has passed, and not a look longer."""

from typing import Any
from uuid import uuid4

import pytest
from deployed_runs import ask_for, claimed, deploy

from penstock.model.attempts import Limits
from penstock.model.flow_run_limits import FlowRunTagLimitCreate
from penstock.model.reasons import Reason
from penstock.model.states import StateType
from penstock.model.work_pools import DEFAULT_POOL, WorkPoolUpdate
from penstock.model.work_queues import WorkQueueUpdate
from penstock.server.operations.flow_run_tag_limits import create_flow_run_tag_limit
from penstock.server.operations.update_work_pool import update_work_pool
from penstock.server.operations.update_work_queue import update_work_queue

START_LIMIT = 60


@pytest.mark.parametrize("reach", ["here", "elsewhere"])
@pytest.mark.parametrize("limited", ["queue", "pool", "deployment", "tag"])
def test_the_next_run_is_taken_when_the_start_limit_of_the_hung_one_has_passed(
    world: Any, limited: str, reach: str
) -> None:
    if limited == "queue":
        world.write(update_work_queue, world.queue_id, WorkQueueUpdate(concurrency_limit=1))
    if limited == "pool":
        world.write(update_work_pool, DEFAULT_POOL, WorkPoolUpdate(concurrency_limit=1))
    if limited == "tag":
        world.write(create_flow_run_tag_limit, FlowRunTagLimitCreate(tag="night", concurrency_limit=1))
    deployment_id = deploy(world, "q", limit=1 if limited == "deployment" else None)
    hung, next_one = (ask_for(world, deployment_id, due, tags=["night"]) for due in (-2, -1))
    dead, alive = uuid4(), uuid4()
    (claim,) = world.poll(dead, capacity=5).claims
    world.intend(claim.attempt.id, dead, limits=Limits(start=START_LIMIT))
    world.report(claim.attempt.id, dead, handle={"type": "process", "version": 1, "data": {}})
    passed = 0
    while passed < START_LIMIT - 5:
        # from here on only the other agent polls; what it adopts it cannot see either
        world.judge(after=5)
        passed += 5
        held = [row.id for row in world.attempts(hung) if row.agent_id == alive]
        orders = world.poll(alive, capacity=5, reaches=[reach], attempts=held)
        assert next_one not in claimed(orders)
    world.judge(after=6)
    held = [row.id for row in world.attempts(hung) if row.agent_id == alive]
    orders = world.poll(alive, capacity=5, reaches=[reach], attempts=held)
    if reach == "here":
        # it looks after the job by now: the order is to stop it, and the slot comes free once that is confirmed
        assert [order.attempt_id for order in orders.cancel] == [claim.attempt.id]
        world.report(claim.attempt.id, alive, gone=True)
        orders = world.poll(alive, capacity=5, reaches=[reach])
    assert claimed(orders) == [next_one]
    assert world.run_row(hung).state_type == StateType.CRASHED
    assert world.state(hung).state_details["reason"] == Reason.START_TIMEOUT
