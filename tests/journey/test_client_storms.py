"""Many clients at once, a server that dies and returns, a road that loses answers: nothing is lost, nothing doubled."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID, uuid4

import pytest

from penstock.client import attempts, deployments, flow_runs, flows, logs, task_runs
from penstock.client.sync import SyncClient, get_sync_client
from penstock.clock import monotonic, now
from penstock.errors import APIError, Unreachable
from penstock.model.attempts import AgentPoll, AttemptReport, AttemptReports, Claim, Intent, Presentation
from penstock.model.deployments import Deployment, DeploymentCreate
from penstock.model.flow_runs import FlowRun, FlowRunCreate
from penstock.model.flows import FlowCreate
from penstock.model.logs import LogCreate
from penstock.model.states import StateCreate, StateType
from penstock.model.task_runs import TaskRunCreate
from penstock.testing import Fault, FaultProxy, server, wait_until

SOAK = bool(os.environ.get("PENSTOCK_TEST_SOAK"))


def write_like_a_run(client: SyncClient, number: int) -> int:
    """One flow run with a task run, states and logs, as an eager client writes them. Returns the number of requests."""
    flow = client.send(flows.create_flow(FlowCreate(name=f"flow-{number % 7}")))
    run = client.send(flow_runs.create_flow_run(FlowRunCreate(flow_id=flow.id)))
    task = TaskRunCreate(flow_run_id=run.id, task_key="t", dynamic_key="0")
    made = client.send(task_runs.create_task_run(task))
    client.send(task_runs.set_task_run_state(made.id, StateCreate(type=StateType.RUNNING)))
    line = LogCreate(name="n", level=20, message="m", timestamp=now(), flow_run_id=run.id)
    client.send(logs.create_logs([line] * 5))
    client.send(flow_runs.set_flow_run_state(run.id, StateCreate(type=StateType.PENDING)))
    return 6


def hammer(api_url: str, writers: int, seconds: float) -> tuple[list[float], list[Exception]]:
    """`writers` clients that write for `seconds`: how long each request took on average, per round, and what failed."""
    took: list[float] = []
    failed: list[Exception] = []
    end = monotonic() + seconds

    def write(number: int) -> None:
        with get_sync_client(api_url, max_retries=0, timeout=30) as client:
            while monotonic() < end:
                started = monotonic()
                try:
                    requests = write_like_a_run(client, number)
                except APIError as error:
                    failed.append(error)
                else:
                    took.append((monotonic() - started) / requests)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    return took, failed


def test_fifty_clients_that_write_to_sqlite_never_meet_a_lock(record_property: Callable[[str, object], None]) -> None:
    seconds = 60.0 if SOAK else 4.0
    with server() as running:
        took, failed = hammer(running.api_url, 50, seconds)
        with running.client() as client:
            runs = client.send(flow_runs.count_flow_runs())
        assert "locked" not in running.output
    assert failed == []
    assert runs == len(took) > 0
    took.sort()
    p50, p99 = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
    record_property("p99", p99)
    rate = len(took) * 6 / seconds
    print(f"50 writers, {seconds:g} s: {rate:.0f} requests/s, p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, 0 errors")


def test_what_is_asked_of_a_server_that_dies_and_comes_back_happens_exactly_once() -> None:
    with server() as running:
        with running.client() as client:
            flow = client.send(flows.create_flow(FlowCreate(name="f")))
        stop = threading.Event()
        made: list[list[UUID]] = [[] for _ in range(4)]
        failed: list[Exception] = []

        def make(mine: list[UUID]) -> None:
            with get_sync_client(running.api_url, max_retries=60) as client:
                while not stop.is_set():
                    try:
                        mine.append(client.send(flow_runs.create_flow_run(FlowRunCreate(flow_id=flow.id))).id)
                    except APIError as error:
                        failed.append(error)

        threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
        for thread in threads:
            thread.start()
        for round_number in range(3):
            enough = sum(map(len, made)) + 20
            wait_until(partial(at_least, made, enough), message=f"{enough} runs in round {round_number}")
            running.kill()
            running.restart()
        wait_until(partial(at_least, made, sum(map(len, made)) + 1), message="a run after the last restart")
        stop.set()
        for thread in threads:
            thread.join()
        assert failed == []
        known = [run_id for mine in made for run_id in mine]
        with running.client() as client:
            count = client.send(flow_runs.count_flow_runs())
        assert len(known) == len(set(known)) == count


def at_least(made: list[list[UUID]], count: int) -> bool:
    return sum(map(len, made)) >= count


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
def test_claims_whose_answers_are_lost_are_neither_lost_nor_doubled(seed: int) -> None:
    wanted, agents = (120, 5) if not SOAK else (1000, 10)
    with server() as running, FaultProxy(running.api_url, seed=seed) as proxy:
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


def test_a_claim_whose_answer_nobody_came_back_for_is_given_to_the_next_agent() -> None:
    env = {"PENSTOCK_AGENT_LEASE_SECONDS": "1", "PENSTOCK_API_SERVICES_LIMITS_INTERVAL": "0.1"}
    with server(env=env) as running, FaultProxy(running.api_url) as proxy, running.client() as client:
        run = client.send(flow_runs.create_flow_run_from_deployment(deploy(client).id))
        lost = proxy.add(Fault("drop_answer", path="/api/agents/poll", times=1))
        poll = {"name": "gone", "work_queues": ["storm"], "capacity": 1, "wait_seconds": 10, "reaches": ["test"]}
        with get_sync_client(proxy.url, max_retries=0) as gone, pytest.raises(Unreachable):
            gone.send(attempts.poll(AgentPoll(agent_id=uuid4(), request_id=uuid4(), **poll)))
        assert lost.struck == 1
        assert len(client.send(attempts.read_attempts(run.id))) == 1
        done = threading.Event()
        heir = RawAgent(running.api_url, done)
        thread = threading.Thread(target=heir.run)
        thread.start()
        try:
            wait_until(lambda: all_completed(client, 1), 60, "the run is completed by the next agent")
        finally:
            done.set()
            thread.join()
        assert heir.errors == []
        assert [one.number for one in client.send(attempts.read_attempts(run.id))] == [1, 2]
        assert client.send(flow_runs.read_flow_run(run.id)).run_count == 1
