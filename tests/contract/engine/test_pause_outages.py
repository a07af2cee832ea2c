"""A paused run and a server that goes away, or whose answers are lost."""

from collections.abc import Iterator

import pytest
from paused_flows import InThread

from penstock import flow, pause_flow_run, resume_flow_run
from penstock.model.states import StateType
from penstock.testing import Fault, FaultProxy, server, wait_until
from penstock.testing.servers import TestServer


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestServer]:
    with server() as running:
        monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)
        monkeypatch.setenv("PENSTOCK_HOME", str(running.home))
        yield running


def paused(running: TestServer) -> object:
    with running.client() as client:

        def found() -> object:
            return client.read_flow_runs(flow_run_filter={"state": {"type": {"any_": ["PAUSED"]}}})

        return wait_until(found, 120, "the run is paused")[0].id


def test_a_run_that_waits_outlives_a_restart_of_the_server(own_server: TestServer) -> None:
    @flow
    def waits_long():
        return pause_flow_run(wait_for_input=int, timeout=600)

    running = InThread(waits_long)
    run_id = paused(own_server)
    own_server.restart()
    resume_flow_run(run_id, run_input={"value": 3})
    assert running.result() == 3


def test_the_answer_to_a_resume_may_be_lost(own_server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    @flow
    def waits_for_an_answer():
        return pause_flow_run(wait_for_input=int, timeout=600)

    running = InThread(waits_for_an_answer)
    run_id = paused(own_server)
    with FaultProxy(own_server.api_url) as proxy:
        proxy.add(Fault("drop_answer", method="POST", path=".*/resume", times=1))
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)
        resume_flow_run(run_id, run_input={"value": 4})
        assert sum(proxy.injected.values()) == 1
    assert running.result() == 4


def test_the_question_may_be_asked_through_a_bad_network(
    own_server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    @flow
    def asks_badly():
        return pause_flow_run(wait_for_input=int, timeout=600)

    with FaultProxy(own_server.api_url, seed=5) as proxy:
        proxy.add(Fault("drop_answer", path=".*/(set_state|input)", probability=0.5))
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)
        running = InThread(asks_badly)
        run_id = paused(own_server)
        resume_flow_run(run_id, run_input={"value": 5})
        assert running.result() == 5
    with own_server.client() as client:
        assert client.read_flow_run(run_id).state_type is StateType.COMPLETED
