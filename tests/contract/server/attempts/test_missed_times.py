"""What each catch-up policy promises when agents or servers were away, and that edits and planning never get in each other's way."""

import asyncio
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from penstock.errors import Invalid, NotFound, ParameterError
from penstock.model.deployments import (
    DeploymentCreate,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    DeploymentUpdate,
)
from penstock.model.schedules import CronSchedule, IntervalSchedule
from penstock.model.states import StateType
from penstock.server import keys
from penstock.server.database import tables as t
from penstock.server.operations import change_deployment_schedules as schedules
from penstock.server.operations.create_deployment import create_deployment
from penstock.server.operations.delete_deployment import delete_deployment
from penstock.server.operations.explain_flow_run import explain_flow_run
from penstock.server.operations.plan_runs import AHEAD, COVER, LEAST, MOST, find_due_schedules, plan_runs
from penstock.server.operations.update_deployment import pause_deployment, update_deployment
from penstock.server.rules.catchup import MOST_CAUGHT_UP
from penstock.server.rules.schedules import planned
from penstock.server.services.scheduler import SchedulerService

NIGHT = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
HOURLY = IntervalSchedule(interval=3600)


@pytest.fixture(autouse=True)
def _evening(held: Any) -> None:
    held.now = NIGHT


def deploy(world: Any, *asked: DeploymentScheduleCreate, **values: Any) -> UUID:
    values = {"flow_id": world.flow_id, "work_queue_name": "q", "parameters": {"x": 1}, **values}
    wanted = DeploymentCreate(name=f"d-{uuid4()}", schedules=list(asked), **values)
    deployment_id: UUID = world.write(create_deployment, wanted)[0].id
    return deployment_id


def tick(world: Any) -> None:
    """Let the scheduler look once."""
    asyncio.run(SchedulerService(world.database).tick())


def hours(world: Any, count: int, *, ticking: bool) -> None:
    for _ in range(count):
        world.time.forward(3600)
        if ticking:
            tick(world)


def runs(world: Any, deployment_id: UUID, *conditions: Any) -> list[Any]:
    query = sa.select(t.flow_run).where(t.flow_run.c.deployment_id == deployment_id, *conditions)
    return list(world.write(lambda tx: tx.execute(query.order_by(t.flow_run.c.expected_start_time)).all()))


def skipped(world: Any, deployment_id: UUID) -> list[str]:
    rows = runs(world, deployment_id, t.flow_run.c.state_name == "Skipped")
    assert all(row.state_type == "CANCELLED" for row in rows)
    return [f"{row.expected_start_time:%H:%M}" for row in rows]


def take(world: Any) -> list[str]:
    """The times of the runs that an agent gets, in the order in which it gets them."""
    agent, found = uuid4(), []
    while claims := world.poll(agent, capacity=5).claims:
        for claim in claims:
            found.append(f"{claim.flow_run.expected_start_time:%H:%M}")
            world.intend(claim.attempt.id, agent)
            world.report(claim.attempt.id, agent, handle={"type": "process", "version": 1, "data": {}})
            world.present(claim.attempt.id)
            own = (claim.attempt.id, keys.attempt_token(claim.attempt.id))
            world.propose(claim.flow_run.id, StateType.RUNNING, attempt=own)
            world.propose(claim.flow_run.id, StateType.COMPLETED, attempt=own)
            world.report(claim.attempt.id, agent, observation=world.ended(code=0))
    return found


WHOLE_NIGHT = ["23:00", "00:00", "01:00", "02:00", "03:00", "04:00", "05:00", "06:00"]


@pytest.mark.parametrize("away", ["agent", "server"])
@pytest.mark.parametrize(("policy", "taken"), [("all", WHOLE_NIGHT), ("latest", ["06:00"]), ("skip", [])])
def test_after_a_night_without_agent_or_server_exactly_the_promised_runs_start(
    world: Any, policy: str, taken: list[str], away: str
) -> None:
    deployment = deploy(world, DeploymentScheduleCreate(schedule=HOURLY, catchup_policy=policy))
    tick(world)
    hours(world, 8, ticking=away == "agent")
    found = take(world)  # an agent may well ask before the scheduler has looked
    tick(world)
    found += take(world)
    assert found == taken
    assert skipped(world, deployment) == [time for time in WHOLE_NIGHT if time not in taken]
    world.time.forward(1800)
    tick(world)
    assert take(world) == ["07:00"]


def test_a_newer_time_ends_an_older_one_even_if_no_scheduler_has_looked_since(world: Any) -> None:
    deployment = deploy(world, DeploymentScheduleCreate(schedule=HOURLY, catchup_policy="latest"))
    tick(world)
    hours(world, 2, ticking=False)
    assert take(world) == ["00:00"]
    assert skipped(world, deployment) == ["23:00"]
    row = runs(world, deployment, t.flow_run.c.state_name == "Skipped")[0]
    state = world.state(row.id)
    assert "did not start before 00:00" in state.message
    assert state.state_details["reason"] == "Skipped"


def test_a_run_that_is_only_a_little_late_is_not_skipped(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_SERVICES_LATE_RUNS_AFTER_SECONDS", "60")
    deploy(world, DeploymentScheduleCreate(schedule=HOURLY, catchup_policy="skip"))
    tick(world)
    world.time.forward(1800 + 59)
    tick(world)
    assert take(world) == ["23:00"]
    world.time.forward(3600 + 2)
    tick(world)
    assert take(world) == []


def test_only_so_many_missed_times_are_made_up_for_and_it_is_said(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    deployment = deploy(world, DeploymentScheduleCreate(schedule=IntervalSchedule(interval=60)))
    world.time.forward(86_400)
    tick(world)
    due = runs(world, deployment, t.flow_run.c.expected_start_time <= world.time.now)
    assert len(due) == MOST_CAUGHT_UP
    assert due[-1].expected_start_time == world.time.now
    assert f"only its newest {MOST_CAUGHT_UP} times" in caplog.text


def test_nothing_is_owed_for_the_time_that_a_deployment_or_a_schedule_was_paused(world: Any) -> None:
    paused = deploy(world, DeploymentScheduleCreate(schedule=HOURLY))
    inactive = deploy(world, DeploymentScheduleCreate(schedule=HOURLY))
    schedule = runs_schedule(world, inactive)
    tick(world)
    world.write(pause_deployment, paused, True)
    world.write(schedules.update_deployment_schedule, inactive, schedule, DeploymentScheduleUpdate(active=False))
    hours(world, 3, ticking=True)
    assert runs(world, paused) == runs(world, inactive) == []
    world.write(pause_deployment, paused, False)
    world.write(schedules.update_deployment_schedule, inactive, schedule, DeploymentScheduleUpdate(active=True))
    tick(world)
    for deployment in (paused, inactive):
        assert [f"{row.expected_start_time:%H:%M}" for row in runs(world, deployment)] == ["02:00", "03:00", "04:00"]


def runs_schedule(world: Any, deployment_id: UUID) -> UUID:
    found: UUID = world.write(schedules.read_deployment_schedules, deployment_id)[0].id
    return found


def test_an_edit_of_the_deployment_reaches_missed_runs_and_loses_none(world: Any) -> None:
    deployment = deploy(world, DeploymentScheduleCreate(schedule=HOURLY))
    tick(world)
    hours(world, 4, ticking=True)
    world.write(update_deployment, deployment, DeploymentUpdate(parameters={"x": 2}))
    assert runs(world, deployment) == []
    tick(world)
    assert {row.parameters["x"] for row in runs(world, deployment)} == {2}
    assert take(world) == WHOLE_NIGHT[:4]


def test_a_run_that_was_taken_before_its_time_is_not_planned_again_by_an_edit(world: Any) -> None:
    deployment = deploy(world, DeploymentScheduleCreate(schedule=HOURLY))
    tick(world)
    world.time.forward(1795)
    assert len(world.poll(uuid4(), capacity=5, prefetch_seconds=10).claims) == 1
    cron = CronSchedule(cron="0 * * * *")
    edits = [
        lambda: world.write(update_deployment, deployment, DeploymentUpdate(tags=["new"])),
        lambda: world.write(update_deployment, deployment, DeploymentUpdate(schedule=cron)),
        lambda: world.write(
            schedules.update_deployment_schedule,
            deployment,
            runs_schedule(world, deployment),
            DeploymentScheduleUpdate(parameters={"x": 5}),
        ),
    ]
    for edit in edits:
        edit()
        tick(world)
        times = [f"{row.expected_start_time:%H:%M}" for row in runs(world, deployment)]
        assert times == ["23:00", "00:00", "01:00"]
    assert [row.parameters["x"] for row in runs(world, deployment)] == [1, 5, 5]


def test_each_schedule_makes_its_own_runs_with_its_own_parameters(world: Any) -> None:
    deployment = deploy(
        world,
        DeploymentScheduleCreate(schedule=HOURLY, parameters={"region": "eu"}),
        DeploymentScheduleCreate(schedule=HOURLY, parameters={"region": "us"}, name="us", max_scheduled_runs=1),
    )
    tick(world)
    found = Counter((row.parameters["x"], row.parameters["region"]) for row in runs(world, deployment))
    assert found == {(1, "eu"): 3, (1, "us"): 1}
    of_schedules = {row.schedule_id for row in runs(world, deployment)}
    assert of_schedules == {one.id for one in world.write(schedules.read_deployment_schedules, deployment)}
    row = runs(world, deployment, t.flow_run.c.parameters.op("->>")("region") == "us")[0]
    assert row.created_by == {"id": str(row.schedule_id), "type": "SCHEDULE", "display_value": "us"}


def test_equal_schedules_equal_names_and_unknown_parameters_are_refused_and_nothing_is_kept(world: Any) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    deployment = deploy(world, DeploymentScheduleCreate(schedule=HOURLY), parameter_openapi_schema=schema)
    daily = CronSchedule(cron="@daily")
    for wrong, error, said in (
        ([DeploymentScheduleCreate(schedule=HOURLY)], Invalid, "same schedule twice"),
        ([DeploymentScheduleCreate(schedule=daily, name="n", parameters={"x": n}) for n in (1, 2)], Invalid, "'n'"),
        ([DeploymentScheduleCreate(schedule=daily, parameters={"y": 1})], ParameterError, "'y'"),
    ):
        with pytest.raises(error, match=said):
            world.write(schedules.create_deployment_schedules, deployment, wrong)
    assert len(world.write(schedules.read_deployment_schedules, deployment)) == 1


def test_a_due_run_waits_while_as_many_of_its_schedule_run_as_it_allows(world: Any) -> None:
    deploy(world, DeploymentScheduleCreate(schedule=HOURLY, max_active_runs=2))
    other = world.run(due=3 * 3600)
    tick(world)
    hours(world, 4, ticking=True)
    agent = uuid4()
    claims = world.poll(agent, capacity=10).claims
    assert [f"{claim.flow_run.expected_start_time:%H:%M}" for claim in claims if claim.flow_run.id != other] == [
        "23:00",
        "00:00",
    ]
    assert other in {claim.flow_run.id for claim in claims}
    first = next(claim for claim in claims if claim.flow_run.id != other)
    waiting = runs(world, first.flow_run.deployment_id, t.flow_run.c.state_type == "SCHEDULED")[0]
    assert "its schedule (max_active_runs) is used up (2/2)" in world.write(explain_flow_run, waiting.id)["explanation"]
    assert world.poll(agent, capacity=10, attempts=[claim.attempt.id for claim in claims]).claims == []
    world.intend(first.attempt.id, agent)
    world.report(first.attempt.id, agent, observation=world.ended(code=1))
    held = [claim.attempt.id for claim in claims if claim is not first]
    times = [claim.flow_run.expected_start_time for claim in world.poll(agent, capacity=10, attempts=held).claims]
    assert [f"{time:%H:%M}" for time in times] == ["01:00"]


EDITS = 40


def test_edits_and_planning_at_once_leave_exactly_the_planned_times(world: Any) -> None:
    rng = random.Random(7)
    deployments = [deploy(world, DeploymentScheduleCreate(schedule=HOURLY)) for _ in range(3)]
    changes = [_edit(world, rng, rng.choice(deployments)) for _ in range(EDITS)]

    def plan() -> None:
        for _ in range(EDITS):
            due = world.write(find_due_schedules, 100)
            world.write(plan_runs, due, wait=False)

    def ask() -> None:
        for _ in range(EDITS // 4):
            world.poll(uuid4(), capacity=1, prefetch_seconds=3600)

    def edit(part: int) -> None:
        for change in changes[part::2]:
            change()

    with ThreadPoolExecutor(5) as pool:
        for work in [
            pool.submit(plan),
            pool.submit(plan),
            pool.submit(ask),
            pool.submit(edit, 0),
            pool.submit(edit, 1),
        ]:
            work.result()
    for deployment in deployments:
        world.write(pause_deployment, deployment, False)
    tick(world)
    for deployment in deployments:
        _check(world, deployment)


def test_a_deployment_that_is_deleted_while_it_is_planned_leaves_no_planned_runs(world: Any) -> None:
    deployments = [deploy(world, DeploymentScheduleCreate(schedule=HOURLY)) for _ in range(20)]

    def plan() -> None:
        for _ in range(len(deployments)):
            world.write(plan_runs, world.write(find_due_schedules, 3), wait=False)

    def delete() -> None:
        for deployment in deployments:
            world.write(delete_deployment, deployment)

    with ThreadPoolExecutor(3) as pool:
        for work in [pool.submit(plan), pool.submit(plan), pool.submit(delete)]:
            work.result()
    left = world.write(lambda tx: tx.execute(sa.select(t.flow_run.c.id).where(t.flow_run.c.auto_scheduled)).all())
    assert left == []


def _edit(world: Any, rng: random.Random, deployment: UUID) -> Any:
    """One change of a deployment or its schedules, chosen now and done later; some meet what is not there any more."""
    kind = rng.choice(("tags", "replace", "interval", "active", "parameters", "pause", "add", "delete"))
    interval, flag, number = rng.choice((1800.0, 3600.0, 7200.0)), rng.random() < 0.6, rng.randrange(1000)

    def one(change: DeploymentScheduleUpdate) -> None:
        there = world.write(schedules.read_deployment_schedules, deployment)
        for found in there[number % 2 :][:1]:
            with suppress(NotFound, Invalid):  # gone meanwhile, or there twice with the change
                world.write(schedules.update_deployment_schedule, deployment, found.id, change)

    def delete() -> None:
        there = world.write(schedules.read_deployment_schedules, deployment)
        for found in there[1:2]:
            with suppress(NotFound):
                world.write(schedules.delete_deployment_schedule, deployment, found.id)

    def add() -> None:
        with suppress(Invalid):
            world.write(schedules.create_deployment_schedules, deployment, [new])

    every = IntervalSchedule(interval=interval)
    new = DeploymentScheduleCreate(schedule=every, parameters={"n": number})
    return {
        "tags": lambda: world.write(update_deployment, deployment, DeploymentUpdate(tags=[str(number)])),
        "replace": lambda: world.write(update_deployment, deployment, DeploymentUpdate(schedule=every)),
        "interval": lambda: one(DeploymentScheduleUpdate(schedule=every)),
        "active": lambda: one(DeploymentScheduleUpdate(active=flag)),
        "parameters": lambda: one(DeploymentScheduleUpdate(parameters={"n": number})),
        "pause": lambda: world.write(pause_deployment, deployment, flag),
        "add": add,
        "delete": delete,
    }[kind]


def _check(world: Any, deployment: UUID) -> None:
    live = {one.id: one for one in world.write(schedules.read_deployment_schedules, deployment)}
    found = runs(world, deployment)
    assert max(Counter((row.schedule_id, row.expected_start_time) for row in found).values(), default=1) == 1
    waiting = [row for row in found if row.state_type == "SCHEDULED"]
    assert {row.schedule_id for row in waiting} <= {one.id for one in live.values() if one.active}
    for one in live.values():
        wanted = planned(one.schedule, world.time.now, least=LEAST, most=MOST, cover=COVER, ahead=AHEAD)
        mine = {row.expected_start_time: row for row in found if row.schedule_id == one.id}
        if one.active:
            assert set(wanted) <= set(mine)
            assert {time for time, row in mine.items() if row.state_type == "SCHEDULED"} <= set(wanted)
            assert all(row.parameters == {"x": 1, **one.parameters} for row in mine.values() if row in waiting)


def test_the_waiting_runs_are_counted_right_after_all_that(world: Any) -> None:
    deployment = deploy(world, DeploymentScheduleCreate(schedule=HOURLY, catchup_policy="latest"))
    tick(world)
    hours(world, 5, ticking=False)
    tick(world)
    world.write(update_deployment, deployment, DeploymentUpdate(tags=["a"]))
    world.time.forward(timedelta(hours=2).total_seconds())
    tick(world)
    kept = dict(world.write(lambda tx: tx.execute(sa.select(t.counter.c.name, t.counter.c.value)).all()))
    counted = Counter(f"flow_runs.state.{row.state_type}" for row in runs(world, deployment))
    assert {name: value for name, value in kept.items() if name.startswith("flow_runs.state.") and value} == counted
