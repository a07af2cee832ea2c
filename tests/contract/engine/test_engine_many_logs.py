"""A run that writes many lines loses none, whatever happens on their way, and they are read in order."""

import itertools
import logging
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock import flow, get_run_logger, task
from penstock.client import logs as calls
from penstock.engine import outbox, reporter
from penstock.testing import Fault, FaultProxy

THREADS, EACH = 8, 2_500


def messages(accounts, run):
    """What user code wrote, in the order in which the server gives it."""
    return [message for message in accounts.messages(run) if message.startswith("line ")]


@pytest.fixture(autouse=True)
def _unseen(monkeypatch):
    """Lines are not shown: pytest would keep each of them."""
    monkeypatch.setattr("penstock.engine.log_handlers.write", lambda stream, text: None)
    monkeypatch.setattr("_pytest.logging.LogCaptureHandler.emit", lambda self, record: None)


def assert_all_there(found, threads, each):
    """Every line once, and those of each thread in the order in which it wrote them."""
    by_thread = {}
    for message in found:
        _, thread, number = message.split()
        by_thread.setdefault(int(thread), []).append(int(number))
    assert {thread: numbers == list(range(each)) for thread, numbers in by_thread.items()} == dict.fromkeys(
        range(threads), True
    )


def test_thousands_of_lines_of_many_threads_all_arrive_in_order(accounts):
    def write(logger, thread):
        for number in range(EACH):
            logger.info("line %d %d", thread, number)

    @flow
    def crowded():
        logger = get_run_logger()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda thread: write(logger, thread), range(THREADS)))

    crowded()
    assert_all_there(messages(accounts, accounts.flow_run(crowded)), THREADS, EACH)


def test_lines_written_while_the_api_is_away_arrive_also_if_the_spool_is_full(accounts, monkeypatch):
    monkeypatch.setattr(outbox, "IN_MEMORY", 200_000)
    monkeypatch.setattr(reporter, "SEAL_LINES_AT", 50_000)
    monkeypatch.setattr(reporter, "LOOK_AGAIN", 0.05)
    monkeypatch.setenv("PENSTOCK_LOGGING_SPOOL_LIMIT_MB", "0.3")
    half_way = threading.Event()
    with FaultProxy(accounts.server.api_url) as proxy:
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)

        @flow
        def cut_off():
            logger = get_run_logger()
            for number in range(10_000):
                if number == 100:
                    proxy.refuse()
                    threading.Thread(target=lambda: (half_way.wait(60), proxy.refuse(False))).start()
                if number == 3_000:
                    half_way.set()
                logger.info("line 0 %d", number)

        cut_off()
    assert_all_there(messages(accounts, accounts.flow_run(cut_off)), 1, 10_000)


def test_lines_of_one_moment_are_read_once_each_by_offset_too(accounts, monkeypatch):
    @flow
    def same():
        get_run_logger().info("line 0 0")

    same()
    run = accounts.flow_run(same)
    stamp = "2026-01-01T00:00:00Z"
    line = {"name": "n", "level": logging.INFO, "timestamp": stamp, "flow_run_id": str(run.id)}
    accounts.client.request("POST", "/logs/", [{**line, "message": f"line 0 {number}"} for number in range(1_000)])
    found = []
    while True:
        call = calls.read_logs(log_filter={"timestamp": {"before_": stamp}}, sort="TIMESTAMP_ASC", offset=len(found))
        page = accounts.client.send(call)
        found += [line.message for line in page]
        if len(page) < 200:
            break
    assert found == [f"line 0 {number}" for number in range(1_000)]


def test_tasks_in_threads_lose_nothing_when_answers_are_lost(accounts, monkeypatch):
    @task
    def writes(thread):
        logger = get_run_logger()
        for number in range(500):
            logger.info("line %d %d", thread, number)

    with FaultProxy(accounts.server.api_url) as proxy:
        proxy.add(Fault("drop_answer", path=".*/reports", probability=0.3))
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)
        monkeypatch.setattr(reporter, "LONGEST_WAIT", 0.1)
        monkeypatch.setattr(reporter, "SEAL_LINES_AT", 20_000)

        @flow
        def shaky():
            writes.map(range(4))

        shaky()
    assert_all_there(messages(accounts, accounts.flow_run(shaky)), 4, 500)


def test_a_signal_handler_may_log_at_any_moment(accounts):
    def ring(_signal, _frame):
        number = next(numbers)
        get_run_logger().info("line 1 %d", number)
        rung.append(number)
        if not over.is_set():  # and not before: a slow machine would ring within the ringing for ever
            signal.setitimer(signal.ITIMER_REAL, 0.0005)

    numbers, rung, over = itertools.count(), [], threading.Event()

    @flow
    def ringing():
        logger = get_run_logger()
        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        try:
            for number in range(5_000):
                logger.info("line 0 %d", number)
        finally:
            over.set()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    ringing()
    assert len(rung) > 10
    found = messages(accounts, accounts.flow_run(ringing))
    assert sorted(found) == sorted([f"line 0 {n}" for n in range(5_000)] + [f"line 1 {n}" for n in range(len(rung))])
