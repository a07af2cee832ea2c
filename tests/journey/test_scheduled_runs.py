"""A schedule makes runs, an agent takes them, and they complete with what the schedule says."""

import itertools
from pathlib import Path

from penstock.model.deployments import DeploymentCreate, DeploymentScheduleCreate
from penstock.model.flows import FlowCreate
from penstock.model.schedules import IntervalSchedule
from penstock.testing import agent, server, wait_until

FLOW = """
from penstock import flow


@flow
def tick(where: str, x: int = 0):
    with open("ticks.txt", "a") as file:
        file.write(f"{where} {x}\\n")
"""


def test_scheduled_runs_complete_one_after_the_other_with_the_parameters_of_their_schedule(tmp_path: Path) -> None:
    (tmp_path / "ticking.py").write_text(FLOW)
    every = DeploymentScheduleCreate(
        schedule=IntervalSchedule(interval=1),
        parameters={"x": 7},
        name="fast",
        max_scheduled_runs=2,
        max_active_runs=1,
        catchup_policy="latest",
    )
    with server() as running, agent(running, "-q", "ticks"), running.client() as client:
        flow_id = client.create_flow(FlowCreate(name="tick")).id
        deployment = client.create_deployment(
            DeploymentCreate(
                name="d",
                flow_id=flow_id,
                entrypoint="ticking.py:tick",
                path=str(tmp_path),
                parameters={"where": "here"},
                work_queue_name="ticks",
                schedules=[every],
            )
        )
        ended = {"state": {"name": {"any_": ["Completed"]}}}
        wait_until(lambda: len(client.read_flow_runs(flow_run_filter=ended)) >= 2, 240, "two runs have completed")
        client.set_schedule_inactive(deployment.id)
        runs = client.read_flow_runs(flow_run_filter=ended)
        assert {run.created_by.display_value for run in runs if run.created_by is not None} == {"fast"}
        assert set((tmp_path / "ticks.txt").read_text().splitlines()) == {"here 7"}
        times = sorted((run.start_time, run.end_time) for run in runs)
        assert all(first[1] <= then[0] for first, then in itertools.pairwise(times))
        waiting = {"state": {"type": {"any_": ["SCHEDULED"]}}}
        assert client.read_flow_runs(flow_run_filter=waiting) == []
