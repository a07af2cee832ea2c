"""Where tasks run makes no difference to what comes out: random graphs of tasks on three runners."""

import logging
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock import allow_failure, flow, task
from penstock.context import get_run_context
from penstock.task_runners import ConcurrentTaskRunner, DaskTaskRunner, SequentialTaskRunner

if os.environ.get("CI", "").lower() not in ("1", "true"):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'penstock[dask]'")

BEHAVIOURS = ["adds", "raises", "recovers", "shrugs", "sleeps"]


@task
def adds(number, inputs):
    return number + sum(inputs)


@task
def raises(number, inputs):
    raise ValueError(f"{number} {inputs}")


@task(retries=1)
def recovers(number, inputs):
    if get_run_context().run_count == 1:
        raise ValueError("only once")
    return number * 10 + sum(inputs)


@task
def shrugs(number, inputs):
    """Goes on with what failed."""
    return number + sum(1 if isinstance(value, Exception) else value for value in inputs)


@task
async def sleeps(number, inputs):
    import asyncio

    await asyncio.sleep(0)
    return number - sum(inputs)


TASKS = {"adds": adds, "raises": raises, "recovers": recovers, "shrugs": shrugs, "sleeps": sleeps}


@st.composite
def graphs(draw):
    """Nodes as (behaviour, the earlier nodes it takes as inputs, the earlier nodes that it only waits for)."""
    nodes = []
    for number in range(draw(st.integers(1, 8))):
        earlier = st.lists(st.integers(0, number - 1), unique=True, max_size=3) if number else st.just([])
        nodes.append((draw(st.sampled_from(BEHAVIOURS)), draw(earlier), draw(earlier)))
    return nodes


@pytest.fixture(scope="module")
def runners(accounts):
    from distributed import LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield [SequentialTaskRunner(), ConcurrentTaskRunner(), DaskTaskRunner(address=cluster.scheduler_address)]


def outcome(state):
    found = state.result(raise_on_failure=False)
    return state.name, (type(found).__name__, str(found)) if isinstance(found, Exception) else found


@given(nodes=graphs())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_results_and_states_are_the_same_on_every_runner(accounts, runners, nodes):
    def graph():
        futures = []
        for number, (behaviour, inputs, waits) in enumerate(nodes):
            arguments = [futures[n] for n in inputs]
            if behaviour == "shrugs":
                arguments = [allow_failure(future) for future in arguments]
            wait_for = [futures[n] for n in waits]
            futures.append(TASKS[behaviour].submit(number, arguments, wait_for=wait_for))
        return futures

    seen = []
    for runner in runners:
        graph_flow = flow(name=f"graph on {runner.name}", task_runner=runner)(graph)
        state = graph_flow(return_state=True)
        run = accounts.flow_runs(graph_flow)[-1]
        reported = {name: found.state_name for name, found in accounts.task_runs(run).items()}
        seen.append((state.name, state.message, [outcome(s) for s in state.data], reported))
    assert seen[0] == seen[1] == seen[2]
