"""Slots of concurrency limits come free however their holder ends, and are kept as long as it lives."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from penstock.client import concurrency_limits as limits
from penstock.model.concurrency_limits import GlobalConcurrencyLimitCreate
from penstock.model.states import StateType
from penstock.testing import wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

#: Seconds, of the servers of this module.
LEASE = 2.0

HOLDING = """
from penstock.concurrency.sync import concurrency

@task(tags=["database"])
def hold(name):
    with concurrency("license"):
        mark(f"{name}-holds")
        wait_for(f"{name}-may-end")

@flow
def main(name: str):
    hold(name)
"""


@pytest.fixture(scope="module")
def limited(make_world: Any, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[World]":
    """A world with one agent, a tag limit and a named limit of one slot each, and short leases."""
    folder = tmp_path_factory.mktemp("limited") / "world"
    with make_world(folder, env={"PENSTOCK_CONCURRENCY_LEASE_SECONDS": str(LEASE)}) as world:
        world.client.send(limits.create_concurrency_limit("database", 1))
        create = GlobalConcurrencyLimitCreate(name="license", limit=1)
        world.client.send(limits.create_global_concurrency_limit(create))
        world.agent("-q", "queue")
        yield world


def held(world: "World") -> tuple[int, int]:
    """How many slots are taken of the tag and of the name."""
    tag = world.client.send(limits.read_concurrency_limit_by_tag("database"))
    name = world.client.send(limits.read_global_concurrency_limit_by_name("license"))
    return len(tag.active_slots), name.active_slots


def program(world: "World", source: str) -> "subprocess.Popen[bytes]":
    """A program of its own that speaks to the world's server."""
    path = world.folder / f"program-{len(list(world.folder.glob('program-*')))}.py"
    header = f"import pathlib, sys, time\nPROBES = pathlib.Path({str(world.probes())!r})\n"
    path.write_text(header + textwrap.dedent(source))
    return subprocess.Popen([sys.executable, path], env=world.server.env)


@pytest.mark.parametrize("ending", ["killed", "cancelled"])
def test_the_next_run_gets_the_slots_of_one_that_was(limited: "World", ending: str) -> None:
    world, deployment = limited, limited.deploy(HOLDING)
    first, second = f"{ending}-1", f"{ending}-2"
    run = world.run(deployment, name=first)
    (pid,) = world.wait_for_mark(f"{first}-holds")
    assert held(world) == (1, 1)
    follower = world.run(deployment, name=second)
    world.wait_for(follower, StateType.RUNNING)
    wait_until(lambda: "AwaitingConcurrencySlot" in task_states(world, follower.id), 120)
    if ending == "killed":
        os.kill(int(pid), signal.SIGKILL)
        world.wait_for(run, StateType.CRASHED)
    else:
        world.cancel(run)
        world.wait_for(run, StateType.CANCELLED)
    world.wait_for_mark(f"{second}-holds")
    assert held(world) == (1, 1)
    world.let(f"{second}-may-end")
    world.wait_for(follower, StateType.COMPLETED)
    assert held(world) == (0, 0)


def task_states(world: "World", flow_run_id: UUID) -> list[str]:
    from penstock.client import task_runs

    wanted = {"id": {"any_": [str(flow_run_id)]}}
    return [str(run.state_name) for run in world.client.send(task_runs.read_task_runs(flow_run_filter=wanted))]


def test_a_run_that_an_agent_started_holds_its_slots_without_renewing_them(limited: "World") -> None:
    world = limited
    run = world.run(world.deploy(HOLDING), name="long")
    world.wait_for_mark("long-holds")
    tag = world.client.send(limits.read_concurrency_limit_by_tag("database"))
    for holder in world.client.send(limits.read_slot_holders(tag.id)):
        assert (holder.flow_run_id, holder.expires_at) == (run.id, None)
    world.let("long-may-end")
    world.wait_for(run, StateType.COMPLETED)


def test_a_program_keeps_its_lease_while_it_lives_and_loses_it_when_it_is_killed(limited: "World") -> None:
    world = limited
    holding = program(
        world,
        """
        from penstock.concurrency.sync import concurrency
        with concurrency("license"):
            (PROBES / "program-holds").touch()
            time.sleep(600)
        """,
    )
    try:
        wait_until(lambda: (world.probes() / "program-holds").exists(), 120)
        limit = world.client.send(limits.read_global_concurrency_limit_by_name("license"))

        def renewed() -> bool:
            # on a slow machine a renewal may come late: nobody else wants the slot
            found = world.client.send(limits.read_slot_holders(limit.id))
            return any(one.expires_at and (one.expires_at - one.since).total_seconds() > 2 * LEASE for one in found)

        wait_until(renewed, 120, "the lease was renewed more than once")
        wait_until(lambda: held(world) == (0, 1), 120, "it is held")
    finally:
        holding.kill()
        holding.wait()
    follower = program(
        world,
        """
        from penstock.concurrency.sync import concurrency
        with concurrency("license", timeout_seconds=240):
            (PROBES / "follower-holds").touch()
        """,
    )
    assert follower.wait(240) == 0
    assert Path(world.probes() / "follower-holds").exists()
    assert held(world) == (0, 0)


def test_a_flow_of_a_program_that_is_killed_loses_its_slots_before_its_run_is_found_lost(limited: "World") -> None:
    world = limited
    holding = program(
        world,
        """
        from penstock import flow, task

        @task(tags=["database"])
        def hold():
            (PROBES / "flow-holds").touch()
            time.sleep(600)

        @flow
        def holding():
            hold()

        holding()
        """,
    )
    try:
        wait_until(lambda: (world.probes() / "flow-holds").exists(), 120)
    finally:
        holding.kill()
        holding.wait()
    run = world.run(world.deploy(HOLDING), name="after")
    world.let("after-may-end")
    world.wait_for(run, StateType.COMPLETED)
    assert held(world) == (0, 0)
