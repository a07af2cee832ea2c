"""Late runs, planned runs, and the small housekeeping, on both databases."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from penstock.model.attempts import AttemptStatus
from penstock.model.deployments import DeploymentUpdate
from penstock.model.states import StateType
from penstock.server.database import tables as t
from penstock.server.database.turns import take_turn
from penstock.server.operations.mark_late_runs import has_late_runs, mark_late_runs
from penstock.server.operations.note_polls import note_polls
from penstock.server.operations.plan_runs import find_due_schedules, plan_runs
from penstock.server.operations.remove_stale import remove_stale
from penstock.server.operations.update_deployment import update_deployment
from penstock.server.services import all_services
from penstock.server.services.limits import LimitsService
from penstock.server.services.scheduler import SchedulerService


def deploy(world: Any, schedule: dict[str, Any], **values: Any) -> tuple[UUID, UUID]:
    """A deployment with one active schedule: their ids."""
    stamps = {"created": world.time.now, "updated": world.time.now}
    deployment = {
        "id": uuid4(),
        **stamps,
        "name": f"d-{uuid4()}",
        "flow_id": world.flow_id,
        "is_schedule_active": True,
        "paused": False,
        "infra_overrides": {},
        "parameters": {"x": 1},
        "tags": ["planned"],
        "enforce_parameter_schema": False,
        "work_queue_id": world.queue_id,
        "work_queue_name": "q",
    }
    row = {
        "id": uuid4(),
        **stamps,
        "deployment_id": deployment["id"],
        "schedule": schedule,
        "active": True,
        "catchup": False,
    }
    world.write(lambda tx: tx.execute(sa.insert(t.deployment).values(deployment)))
    world.write(lambda tx: tx.execute(sa.insert(t.deployment_schedule).values(row | values)))
    return deployment["id"], row["id"]


def runs_of(world: Any, deployment_id: UUID) -> list[Any]:
    query = sa.select(t.flow_run).where(t.flow_run.c.deployment_id == deployment_id)
    return list(world.write(lambda tx: tx.execute(query.order_by(t.flow_run.c.expected_start_time)).all()))


def run(story: Awaitable[None]) -> None:
    async def main() -> None:
        await story

    asyncio.run(main())


def test_an_overdue_run_is_called_late_once_and_stays_due(world: Any) -> None:
    run_id = world.run(due=-20)
    world.run(due=-5)
    assert world.write(has_late_runs, 15)
    assert world.write(mark_late_runs, 15) == 1
    late = world.run_row(run_id)
    assert (late.state_type, late.state_name) == (StateType.SCHEDULED, "Late")
    assert late.next_scheduled_start_time == world.time.now - timedelta(seconds=20)
    assert not world.write(has_late_runs, 15)
    assert [claim.flow_run.id for claim in world.poll().claims] == [run_id]


def test_a_run_that_waits_for_its_retry_is_not_late(world: Any) -> None:
    run_id = world.run()
    world.propose(run_id, StateType.SCHEDULED, name="AwaitingRetry", force=True)
    world.time.forward(100)
    assert not world.write(has_late_runs, 15)


def test_planned_runs_carry_the_deployments_defaults_and_come_once(world: Any) -> None:
    deployment_id, schedule_id = deploy(world, {"cron": "0 9 * * *", "timezone": "UTC"})
    assert world.write(plan_runs, [schedule_id]) == 1
    planned = runs_of(world, deployment_id)
    assert len(planned) == 3
    first = planned[0]
    assert (first.state_type, first.auto_scheduled, first.parameters, first.tags) == (
        "SCHEDULED",
        True,
        {"x": 1},
        ["planned"],
    )
    assert (first.work_queue_id, first.schedule_id) == (world.queue_id, schedule_id)
    assert first.idempotency_key == f"scheduled {schedule_id} {first.expected_start_time.isoformat()}"
    world.write(plan_runs, [schedule_id])
    assert len(runs_of(world, deployment_id)) == 3
    world.time.forward(86_400)
    world.write(plan_runs, [schedule_id])
    assert len(runs_of(world, deployment_id)) == 4


def test_a_schedule_that_cannot_be_read_makes_no_runs_and_spoils_no_other(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bad = deploy(world, {"cron": "99 * * * *"})
    good = deploy(world, {"interval": 3600.0})
    world.write(plan_runs, [bad[1], good[1]])
    assert runs_of(world, bad[0]) == []
    assert len(runs_of(world, good[0])) == 3
    assert "99 * * * *" in caplog.text


def test_only_active_schedules_of_active_deployments_are_planned(world: Any) -> None:
    deployment_id, schedule_id = deploy(world, {"interval": 60.0})
    _, off = deploy(world, {"interval": 60.0}, active=False)
    assert world.write(find_due_schedules, 10) == [schedule_id]
    world.change(t.deployment, deployment_id, paused=True)
    assert world.write(find_due_schedules, 10) == []
    assert world.write(plan_runs, [schedule_id, off]) == 0


def test_the_scheduler_looks_again_when_a_deployment_changed_and_not_otherwise(world: Any) -> None:
    deployment_id, _ = deploy(world, {"interval": 3600.0})
    service = SchedulerService(world.database)

    async def story() -> None:
        await service.tick()
        world.write(lambda tx: tx.execute(sa.delete(t.flow_run)))
        await service.tick()
        assert runs_of(world, deployment_id) == []
        world.write(update_deployment, deployment_id, DeploymentUpdate(tags=["other"]))
        await service.tick()
        assert len(runs_of(world, deployment_id)) == 3

    run(story())


def test_two_servers_take_turns(world: Any) -> None:
    if world.database.is_sqlite:
        assert world.write(take_turn, "work")
        return

    def second_meanwhile(tx: Any) -> tuple[bool, bool]:
        mine = take_turn(tx, "work")
        return mine, world.database.submit_write(take_turn, "work").result(30)

    assert world.write(second_meanwhile) == (True, False)
    assert world.write(take_turn, "work")


def test_the_limits_service_fences_what_its_look_finds(world: Any) -> None:
    world.run()
    (claim,) = world.poll().claims
    world.database.opened -= 60
    service = LimitsService(world.database)

    async def story() -> None:
        await service.tick()
        assert world.attempt(claim.attempt.id).status == AttemptStatus.CLAIMED
        world.time.forward(16)
        await service.tick()
        assert world.attempt(claim.attempt.id).status == AttemptStatus.ENDED

    run(story())


def test_deployments_learn_when_their_queue_was_polled(world: Any) -> None:
    deployment_id, _ = deploy(world, {"interval": 3600.0})
    assert world.write(note_polls, 30) == 0
    world.poll()
    assert world.write(note_polls, 30) == 1
    assert world.one(t.deployment, deployment_id).last_polled == world.time.now


def test_old_agents_and_streams_go_but_not_those_that_hold_something(world: Any) -> None:
    idle, busy = uuid4(), uuid4()
    world.poll(idle)
    world.run()
    world.poll(busy)
    stream = {"stream": uuid4(), "flow_run_id": uuid4(), "sequence": 1, "updated": world.time.now}
    world.write(lambda tx: tx.execute(sa.insert(t.report_stream).values(stream)))
    world.time.forward(6 * 86_400)
    assert world.write(remove_stale) == 0
    world.time.forward(2 * 86_400)
    assert world.write(remove_stale) == 2
    agents = world.write(lambda tx: tx.execute(sa.select(t.agent.c.id)).scalars().all())
    assert agents == [busy]


def test_services_can_be_switched_off(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = {service.name for service in all_services(world.database)}
    assert {"limits", "lost-runs", "foreman", "cleanup", "pause-expirations"} < everything
    monkeypatch.setenv("PENSTOCK_API_SERVICES_SCHEDULER_ENABLED", "false")
    monkeypatch.setenv("PENSTOCK_API_SERVICES_LATE_RUNS_ENABLED", "false")
    rest = {service.name for service in all_services(world.database)}
    assert everything - rest == {"scheduler", "late-runs"}
