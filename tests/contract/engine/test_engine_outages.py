"""A run goes on while the API is away, and afterwards everything about it is there, in order."""

import threading
import time

import pytest

from penstock import flow, get_run_logger, task
from penstock.errors import RunCancelled
from penstock.model.states import StateCreate, StateType
from penstock.testing import Fault, FaultProxy, wait_until

ROUNDS = 300


@pytest.fixture
def proxy(accounts, monkeypatch):
    with FaultProxy(accounts.server.api_url) as proxy:
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)
        monkeypatch.setenv("PENSTOCK_API_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("PENSTOCK_CLIENT_MAX_RETRIES", "30")  # so many seconds may a busy server take
        yield proxy


@task
def step(n):
    get_run_logger().info("step %d", n)
    return n


def assert_complete_and_in_order(accounts, run, rounds):
    assert run.state_name == "Completed"
    found = accounts.task_runs(run)
    assert sorted(found) == sorted(f"step-{n}" for n in range(rounds))
    for task_run in list(found.values())[:: max(1, rounds // 10)]:
        assert accounts.task_states(task_run) == ["Pending", "Running", "Completed"]
    steps = [message for message in accounts.messages(run) if message.startswith("step ")]
    assert steps == [f"step {n}" for n in range(rounds)]


def test_a_run_goes_on_while_the_api_is_cut_off(accounts, proxy):
    @flow
    def partitioned():
        for n in range(ROUNDS):
            step(n)
            if n == 50:
                proxy.partition()
        # user code was not held up; now let the API come back while the engine waits to deliver
        threading.Timer(1.5, proxy.partition, [False]).start()

    partitioned()
    assert_complete_and_in_order(accounts, accounts.flow_run(partitioned), ROUNDS)


def test_a_run_goes_on_while_the_server_is_down_and_spools_to_disk(accounts, proxy, monkeypatch):
    from penstock.engine import outbox, reporter

    monkeypatch.setattr(outbox, "IN_MEMORY", 2_000)
    monkeypatch.setattr(reporter, "SEAL_AT", 50)
    spool = accounts.server.home / "spool"
    held = []

    @flow
    def spooled():
        proxy.refuse()
        for n in range(ROUNDS):
            step(n)
        held.extend(spool.rglob("*.json"))
        threading.Timer(0.5, proxy.refuse, [False]).start()

    spooled()
    assert len(held) > 1
    assert list(spool.rglob("*.json")) == []
    assert_complete_and_in_order(accounts, accounts.flow_run(spooled), ROUNDS)


def test_a_batch_whose_answer_is_lost_is_not_counted_twice(accounts, proxy):
    first = proxy.add(Fault("drop_answer", path=".*/reports", times=1))
    later = proxy.add(Fault("drop_answer", path=".*/reports", probability=0.5))

    @flow
    def doubted():
        for n in range(20):
            step(n)
            time.sleep(0.06)

    doubted()
    proxy.remove(later)
    assert first.struck == 1
    assert_complete_and_in_order(accounts, accounts.flow_run(doubted), 20)


def test_a_transition_whose_answer_is_lost_is_made_once(accounts, proxy):
    proxy.add(Fault("drop_answer", path=".*/set_state", probability=0.5))

    @flow
    def lost_answers():
        return 1

    for _ in range(6):
        assert lost_answers() == 1
    assert proxy.injected["drop_answer"] > 0
    for run in accounts.flow_runs(lost_answers):
        assert accounts.states(run) == ["Pending", "Running", "Completed"]


def test_a_run_that_is_cancelled_on_the_server_stops_in_its_own_program(accounts):
    cleaned = []

    @flow
    def endless():
        try:
            n = 0
            while True:
                step(n)
                n += 1
                time.sleep(0.01)
        finally:
            cleaned.append(n)

    def cancel():
        run = wait_until(lambda: accounts.flow_runs(endless))[0]
        wait_until(lambda: accounts.flow_runs(endless)[0].state_name == "Running")
        accounts.client.set_flow_run_state(run.id, StateCreate(type=StateType.CANCELLING))

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(RunCancelled):
        endless()
    canceller.join()
    assert cleaned
    run = accounts.flow_run(endless)
    assert run.state_name == "Cancelled"
    wait_until(lambda: {t.state_type for t in accounts.task_runs(run).values()} <= {"COMPLETED", "CANCELLED"})


def test_a_run_outlives_the_death_of_the_server(accounts):
    @flow
    def outliving():
        for n in range(ROUNDS):
            step(n)
            if n == 100:
                accounts.server.kill()
            if n == 200:
                accounts.server.start()
            time.sleep(0.002)

    outliving()
    assert_complete_and_in_order(accounts, accounts.flow_run(outliving), ROUNDS)


def test_flows_in_several_threads_are_runs_of_their_own(accounts):
    @flow
    def threaded(n):
        return [f.result() for f in [step.submit(n) for _ in range(10)]]

    found = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: threaded(n)})) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [n] * 10 for n in range(4)}
    runs = accounts.flow_runs(threaded)
    assert [len(accounts.task_runs(run)) for run in runs] == [10] * 4
    for run in runs:
        steps = {m for m in accounts.messages(run) if m.startswith("step ")}
        assert steps == {f"step {run.parameters['n']}"}


def test_on_a_bad_network_every_run_is_still_there_once(accounts, proxy, monkeypatch):
    monkeypatch.setenv("PENSTOCK_CLIENT_RETRY_SECONDS", "0.05")
    monkeypatch.setenv("PENSTOCK_CLIENT_MAX_RETRIES", "20")
    for kind in ("drop_answer", "cut", "cut_answer"):
        proxy.add(Fault(kind, probability=0.08))
    proxy.add(Fault("status", status=503, probability=0.05))
    tries = []

    @flow
    def part(n):
        return step(n)

    @flow(retries=1)
    def battered(n):
        tries.append(n)
        if tries.count(n) == 1:
            raise ValueError("first try")
        return part(n) + step.submit(n).result()

    for n in range(8):
        assert battered(n) == 2 * n
    proxy.clear()
    assert proxy.injected.total() > 10
    runs, parts = accounts.flow_runs(battered), accounts.flow_runs(part)
    assert sorted(run.parameters["n"] for run in runs) == sorted(run.parameters["n"] for run in parts) == list(range(8))
    for run in runs:
        assert accounts.states(run) == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
        assert sorted(accounts.task_runs(run)) == ["part-0", "step-0"]
    for run in parts:
        assert accounts.states(run) == ["Pending", "Running", "Completed"]
        assert accounts.messages(run).count(f"step {run.parameters['n']}") == 1
