"""A thousand tasks of all kinds, with the API away in the middle of them: every state and every result is right."""

import os
import threading
from collections import Counter

import pytest

from penstock import flow, task
from penstock.tasks import task_input_hash
from penstock.testing import FaultProxy, wait_until

TASKS = 1_000
#: The full minute: PENSTOCK_TEST_SOAK=1, or any number of seconds in PENSTOCK_TEST_AWAY_SECONDS.
AWAY_SECONDS = float(
    os.environ.get("PENSTOCK_TEST_AWAY_SECONDS") or (60 if os.environ.get("PENSTOCK_TEST_SOAK") else 6)
)

calls: Counter[tuple[str, int]] = Counter()


@task
def plain(n):
    calls["plain", n] += 1
    return n


@task(retries=1)
def flaky(n):
    calls["flaky", n] += 1
    if calls["flaky", n] == 1:
        raise ValueError(f"first try of {n}")
    return n


@task(persist_result=True)
def kept(n):
    calls["kept", n] += 1
    return {"n": n}


@task(cache_key_fn=task_input_hash)
def cached(n):
    calls["cached", n] += 1
    return n


@task
def hopeless(n):
    calls["hopeless", n] += 1
    raise KeyError(n)


@flow
def part(n):
    return plain(n)


#: What a task of each kind goes through; `cached` is called with five numbers only, so most of its calls find a result.
STORIES = {
    "plain": ["Pending", "Running", "Completed"],
    "flaky": ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"],
    "kept": ["Pending", "Running", "Completed"],
    "hopeless": ["Pending", "Running", "Failed"],
}


@pytest.fixture
def proxy(accounts, monkeypatch):
    with FaultProxy(accounts.server.api_url) as proxy:
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)
        monkeypatch.setenv("PENSTOCK_API_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("PENSTOCK_CLIENT_MAX_RETRIES", "30")  # so many seconds may a busy server take
        yield proxy


def test_a_thousand_tasks_outlive_an_api_that_is_away(accounts, proxy):
    calls.clear()

    @flow
    def thousand():
        total, futures = 0, []
        for n in range(TASKS):
            if n == TASKS // 3:
                proxy.partition()
                threading.Timer(AWAY_SECONDS, proxy.partition, [False]).start()
            kind = (plain, flaky, kept, cached, hopeless)[n % 5]
            future = kind.submit(n % 25 if kind is cached else n)
            if n % 5 != 4:
                total += n if kind is not cached else n % 25
                futures.append(future)
            if n == TASKS // 2:
                assert part(n) == n  # a subflow needs the server: it waits
        results = [future.result() for future in futures]
        return total, sum(value["n"] if isinstance(value, dict) else value for value in results)

    expected, found = thousand()
    assert expected == found
    run = accounts.flow_run(thousand)
    assert run.state_name == "Completed"
    task_runs = accounts.task_runs(run)
    assert Counter(name.split("-")[0] for name in task_runs) == {
        "plain": 200, "flaky": 200, "kept": 200, "cached": 200, "hopeless": 200, "part": 1
    }  # fmt: skip
    states = {name: accounts.task_states(found) for name, found in task_runs.items()}
    for kind, story in STORIES.items():
        assert {tuple(states[name]) for name in states if name.startswith(kind)} == {tuple(story)}
    assert {states[name][-1] for name in states if name.startswith("cached")} <= {"Completed", "Cached"}
    assert {n for kind, n in calls if kind == "cached"} == {3, 8, 13, 18, 23}
    assert {count for (kind, _), count in calls.items() if kind == "flaky"} == {2}
    assert calls["plain", TASKS // 2] == 2  # by the flow, and by its subflow
    once = {
        c
        for (kind, n), c in calls.items()
        if kind in ("plain", "kept", "hopeless") and (kind, n) != ("plain", TASKS // 2)
    }
    assert once == {1}
    for name, found in list(task_runs.items())[::7]:
        if name.startswith("kept"):
            assert accounts.client.read_task_run(found.id).state.result() in [{"n": n} for n in range(2, TASKS, 5)]
    (subflow,) = accounts.flow_runs(part)
    wait_until(lambda: accounts.states(subflow) == ["Pending", "Running", "Completed"])
