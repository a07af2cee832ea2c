"""Claims on a road that loses answers, on both databases: no attempt is lost, none is made twice."""

import os
import threading
from collections import Counter
from functools import partial
from uuid import UUID, uuid4

import pytest

from penstock.client import attempts, deployments, flow_runs, flows
from penstock.client.sync import SyncClient, get_sync_client
from penstock.errors import APIError, Unreachable
from penstock.model.attempts import (
    AgentPoll,
    AttemptReport,
    AttemptReports,
    AttemptStatus,
    Claim,
    Intent,
    Presentation,
)
from penstock.model.deployments import Deployment, DeploymentCreate
from penstock.model.flow_runs import FlowRun
from penstock.model.flows import FlowCreate
from penstock.model.states import StateCreate, StateType
from penstock.testing import Fault, FaultProxy, server, wait_until

SOAK = bool(os.environ.get("PENSTOCK_TEST_SOAK"))


class RawAgent:
    """An agent and its engines in one thread: what it claims, it intends, starts, runs and completes, over the wire."""

    def __init__(self, api_url: str, done: threading.Event) -> None:
        self.id = uuid4()
        self.claimed: Counter[UUID] = Counter()
        self.errors: list[Exception] = []
        self._api_url, self._done = api_url, done
        self._held: set[UUID] = set()

    def run(self) -> None:
        with get_sync_client(self._api_url, max_retries=30, timeout=20) as client:
            while not self._done.is_set():
                orders = client.send(attempts.poll(self._poll()))
                self._held -= set(orders.release)
                for claim in orders.claims:
                    self.claimed[claim.attempt.id] += 1
                    self._held.add(claim.attempt.id)
                    try:
                        self._live(client, claim)
                    except APIError as error:
                        self.errors.append(error)

    def _poll(self) -> AgentPoll:
        return AgentPoll(
            agent_id=self.id,
            request_id=uuid4(),
            name=f"raw-{self.id}",
            work_queues=["storm"],
            capacity=3,
            wait_seconds=1,
            reaches=["test"],
            attempts=sorted(self._held),
        )

    def _live(self, client: SyncClient, claim: Claim) -> None:
        """The whole life of an attempt. Each step may lose its answer and be repeated."""
        attempt_id = claim.attempt.id
        intent = Intent(agent_id=self.id, job_name=f"job-{attempt_id}", reach="test", infrastructure_type="process")
        client.send(attempts.write_intent(attempt_id, intent))
        report = AttemptReport(attempt_id=attempt_id, agent_id=self.id, handle={"pid": 1}, infrastructure_pid="x:1")
        client.send(attempts.send_attempt_reports(AttemptReports(reports=[report])))
        with get_sync_client(self._api_url, attempt=(attempt_id, claim.token), max_retries=30, timeout=20) as engine:
            engine.send(attempts.present(attempt_id, Presentation(token=claim.token, instance_id=uuid4())))
            for state in (StateType.RUNNING, StateType.COMPLETED):
                answer = engine.send(flow_runs.set_flow_run_state(claim.flow_run.id, StateCreate(type=state)))
                assert answer.state is not None
                assert answer.state.type is state, answer


def deploy(client: SyncClient) -> Deployment:
    flow = client.send(flows.create_flow(FlowCreate(name="storm")))
    body = DeploymentCreate(name="d", flow_id=flow.id, work_queue_name="storm", entrypoint="f.py:f")
    return client.send(deployments.create_deployment(body))


@pytest.mark.parametrize("seed", [1, 2] if not SOAK else range(12))
def test_claims_whose_answers_are_lost_are_neither_lost_nor_doubled(seed: int, database_url: str) -> None:
    wanted, agents = (120, 5) if not SOAK else (1000, 10)
    # an agent that gets little of a busy machine is not lost
    env = {"PENSTOCK_AGENT_LEASE_SECONDS": "600"}
    with server(env=env, database_url=database_url) as running, FaultProxy(running.api_url, seed=seed) as proxy:
        with running.client() as client:
            deployment = deploy(client)
            for _ in range(wanted):
                client.send(flow_runs.create_flow_run_from_deployment(deployment.id))
        proxy.add(Fault("drop_answer", method="POST", probability=0.05))
        proxy.add(Fault("cut", method="POST", probability=0.03))
        proxy.add(Fault("status", method="POST", probability=0.02, status=503, retry_after="0"))
        done = threading.Event()
        raw = [RawAgent(proxy.url, done) for _ in range(agents)]
        threads = [threading.Thread(target=one.run) for one in raw]
        for thread in threads:
            thread.start()
        try:
            with running.client() as client:
                wait_until(partial(all_completed, client, wanted), 240, "all runs are completed", interval=0.2)
                everything = read_all(client)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert [error for one in raw for error in one.errors] == []
        assert proxy.injected["drop_answer"] > 10
        claimed = sum((one.claimed for one in raw), Counter())
        assert set(claimed.values()) == {1}
        assert len(claimed) == wanted
        assert len(everything) == wanted
        assert {run.attempt_count for run in everything} == {1}
        assert {run.run_count for run in everything} == {1}


def all_completed(client: SyncClient, wanted: int) -> bool:
    completed = {"state": {"type": {"any_": ["COMPLETED"]}}}
    return client.send(flow_runs.count_flow_runs(flow_run_filter=completed)) == wanted


def read_all(client: SyncClient) -> list[FlowRun]:
    found: list[FlowRun] = []
    while page := client.send(flow_runs.read_flow_runs(limit=200, offset=len(found), sort="ID_DESC")):
        found += page
    return found


def test_a_claim_whose_answer_nobody_came_back_for_is_given_to_the_next_agent(database_url: str) -> None:
    env = {"PENSTOCK_AGENT_LEASE_SECONDS": "1", "PENSTOCK_API_SERVICES_LIMITS_INTERVAL": "0.1"}
    with (
        server(env=env, database_url=database_url) as running,
        FaultProxy(running.api_url) as proxy,
        running.client() as client,
    ):
        run = client.send(flow_runs.create_flow_run_from_deployment(deploy(client).id))
        lost = proxy.add(Fault("drop_answer", path="/api/agents/poll", times=1))
        poll = {"name": "gone", "work_queues": ["storm"], "capacity": 1, "wait_seconds": 10, "reaches": ["test"]}
        with get_sync_client(proxy.url, max_retries=0) as gone, pytest.raises(Unreachable):
            gone.send(attempts.poll(AgentPoll(agent_id=uuid4(), request_id=uuid4(), **poll)))
        assert lost.struck == 1
        assert len(client.send(attempts.read_attempts(run.id))) == 1
        wait_until(
            lambda: client.send(attempts.read_attempts(run.id))[0].status is AttemptStatus.ENDED, 60, "it is lost"
        )
        running.env["PENSTOCK_AGENT_LEASE_SECONDS"] = "600"  # the next one shall have all the time that it needs
        running.restart()
        done = threading.Event()
        heir = RawAgent(running.api_url, done)
        thread = threading.Thread(target=heir.run)
        thread.start()
        try:
            wait_until(lambda: all_completed(client, 1), 120, "the run is completed by the next agent")
        finally:
            done.set()
            thread.join()
        assert heir.errors == []
        assert [one.number for one in client.send(attempts.read_attempts(run.id))] == [1, 2]
        assert client.send(flow_runs.read_flow_run(run.id)).run_count == 1
