"""The reporter against a server that is played by the test."""

import json
import threading
from types import SimpleNamespace
from uuid import uuid4

import pytest

from penstock.engine import reporter as module
from penstock.engine.reporter import Reporter
from penstock.errors import Conflict, Invalid, NotAuthorized, NotFound, Unreachable
from penstock.testing import wait_until


class Server:
    """Takes batches, after raising what `troubles` holds."""

    def __init__(self):
        self.batches, self.troubles, self.cancel = [], [], False
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, body):
        self.arrived.set()
        self.gate.wait(120)
        batch = json.loads(body)
        if self.troubles:
            raise self.troubles.pop(0)
        self.batches.append(batch)
        return SimpleNamespace(sequence=batch["sequence"], cancel=self.cancel)

    @property
    def lines(self):
        return [line["message"] for batch in self.batches for line in batch["logs"]]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def make(tmp_path, server, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.02)
    made, told = [], SimpleNamespace(cancel=0, over=[])

    def on_cancel():
        told.cancel += 1

    def build(**options):
        one = Reporter(
            uuid4(), server, tmp_path, on_cancel=on_cancel, on_over=told.over.append, **{"patience": 60.0, **options}
        )
        one.told = told
        one.start()
        made.append(one)
        return one

    yield build
    server.gate.set()
    for one in made:
        one.close()


def line(text):
    return json.dumps({"message": str(text)}).encode()


def test_batches_are_numbered_and_keep_the_order(make, server):
    one = make()
    for n in range(100):
        one.log(line(n))
        if n % 10 == 0:
            assert one.flush(120)
    assert one.flush(120)
    assert server.lines == [str(n) for n in range(100)]
    assert [batch["sequence"] for batch in server.batches] == list(range(1, len(server.batches) + 1))
    assert {batch["stream"] for batch in server.batches} == {str(one.stream)}


def test_what_happens_to_a_task_run_between_two_batches_is_one_report(make, server):
    one = make()
    server.gate.clear()
    one.log(line("first"))
    assert server.arrived.wait(120)
    one.task_run("t", {"create": {"name": "x"}, "states": [1]})
    one.task_run("t", {"states": [2], "run_count": 1})
    server.gate.set()
    assert one.flush(120)
    reports = [report for batch in server.batches for report in batch["task_runs"]]
    assert reports == [{"task_run_id": "t", "create": {"name": "x"}, "states": [1, 2], "run_count": 1}]


def test_an_empty_flush_returns_at_once(make):
    assert make().flush(0)


def test_flush_gives_up_when_its_time_is_over(make, server):
    one = make()
    server.gate.clear()
    one.log(line(1))
    assert one.flush(0.05) is False
    server.gate.set()
    assert one.flush(120)


@pytest.mark.parametrize("trouble", [Unreachable("away"), NotAuthorized("key?"), Invalid("what?", code="answer")])
def test_a_passing_trouble_is_waited_out(make, server, trouble):
    server.troubles = [trouble] * 3
    one = make()
    one.log(line(1))
    assert one.flush(120)
    assert server.lines == ["1"]


def test_a_report_that_the_server_does_not_take_does_not_hold_up_the_others(make, server, capsys):
    server.troubles = [Invalid("no such field")]
    one = make()
    one.log(line(1))
    one.flush(120)
    one.log(line(2))
    assert one.flush(120)
    assert server.lines == ["2"]
    assert server.batches[0]["sequence"] == 1
    assert "no such field" in capsys.readouterr().err


def test_a_server_that_has_lost_batches_gets_the_rest_as_a_new_stream(make, server):
    one = make()
    one.log(line(1))
    assert one.flush(120)
    server.troubles = [Conflict("expected 1", code="report_gap")]
    one.log(line(2))
    assert one.flush(120)
    assert server.lines == ["1", "2"]
    assert server.batches[0]["stream"] != server.batches[1]["stream"]
    assert server.batches[1]["sequence"] == 1


@pytest.mark.parametrize("trouble", [Conflict("over", code="attempt_superseded"), NotFound("no such run")])
def test_a_run_that_is_over_for_this_process_ends_all_reports(make, server, trouble):
    server.troubles = [trouble]
    one = make()
    one.log(line(1))
    assert one.flush(120) is False
    wait_until(lambda: one.told.over == [trouble.message])
    one.log(line(2))
    assert one.flush(120) is False
    assert server.batches == []


def test_a_cancellation_is_told_once(make, server):
    server.cancel = True
    one = make()
    for n in range(3):
        one.log(line(n))
        assert one.flush(120)
    wait_until(lambda: len(server.batches) >= 3)
    assert one.told.cancel == 1


def test_silence_is_broken_by_a_sign_of_life(make, server, monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    make()
    wait_until(lambda: len(server.batches) >= 2)
    assert server.batches[0]["task_runs"] == server.batches[0]["logs"] == []


def test_reports_that_never_arrive_are_left_on_disk_and_named(make, server, tmp_path, capsys):
    server.troubles = [Unreachable("away")] * 10_000
    one = make(patience=0.1)
    one.log(line("precious"))
    assert one.flush(120) is False
    (file,) = tmp_path.rglob("*.json")
    assert b"precious" in file.read_bytes()
    wait_until(lambda: str(file.parent) in capsys.readouterr().err)  # told when nobody has to wait any more


def test_during_an_outage_memory_is_bounded_and_nothing_is_lost(make, server, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SEAL_AT", 10)
    monkeypatch.setattr(module, "SEAL_LINES_AT", 300)
    monkeypatch.setattr(module.outbox, "IN_MEMORY", 500)
    one = make()
    server.gate.clear()
    one.log(line(0))
    assert server.arrived.wait(120)
    for n in range(1, 500):
        one.log(line(n))
    assert len(list(tmp_path.rglob("*.json"))) > 10
    server.gate.set()
    assert one.flush(120)
    assert server.lines == [str(n) for n in range(500)]
    assert list(tmp_path.rglob("*.json")) == []


@pytest.fixture
def small(monkeypatch):
    """Memory for little, so that what is beyond it is soon reached."""
    monkeypatch.setattr(module, "SEAL_LINES_AT", 200)
    monkeypatch.setattr(module.outbox, "IN_MEMORY", 300)
    monkeypatch.setattr(module, "LOOK_AGAIN", 0.02)


def logging_on(one, count):
    """A thread that logs `count` lines, and how many it has got rid of so far."""
    done = []

    def log():
        for n in range(count):
            one.log(line(n))
            done.append(n)

    thread = threading.Thread(target=log)
    thread.start()
    return thread, done


def test_when_memory_and_spool_are_full_whoever_logs_waits_and_no_line_is_lost(make, server, small, capsys):
    one = make(spool_limit=1_000)
    server.gate.clear()
    thread, done = logging_on(one, 500)
    assert server.arrived.wait(120)
    wait_until(lambda: "has grown to its limit" in capsys.readouterr().err)
    assert len(done) < 200
    server.gate.set()
    thread.join(120)
    assert one.flush(120)
    assert server.lines == [str(n) for n in range(500)]


def test_a_disk_that_takes_nothing_is_told_and_no_line_is_lost(make, server, small, tmp_path, capsys):
    tmp_path.rmdir()
    tmp_path.write_text("no folder, so no spool can be in it")
    one = make()
    server.gate.clear()
    thread, done = logging_on(one, 500)
    wait_until(lambda: "cannot be written: " in capsys.readouterr().err)
    assert len(done) < 200
    server.gate.set()
    thread.join(120)
    assert one.flush(120)
    assert server.lines == [str(n) for n in range(500)]


def test_a_process_that_is_told_to_end_does_not_wait_for_room(make, server, small):
    one = make(spool_limit=1_000, in_a_hurry=lambda: True)
    server.gate.clear()
    thread, done = logging_on(one, 500)
    thread.join(120)
    assert len(done) == 500
    server.gate.set()
    assert one.flush(120)
    assert server.lines == [str(n) for n in range(500)]


def test_waiting_for_room_ends_when_the_api_is_given_up(make, server, small):
    server.troubles = [Unreachable("away")] * 10_000
    one = make(spool_limit=1_000, patience=0.3)
    thread, done = logging_on(one, 500)
    thread.join(120)
    assert len(done) == 500
    assert one.flush(120) is False


def test_a_spooled_batch_that_somebody_removed_is_told_and_the_others_arrive(make, server, small, tmp_path, capsys):
    one = make()
    server.gate.clear()
    one.log(line("first"))
    assert server.arrived.wait(120)
    for n in range(100):
        one.log(line(n))
    files = sorted(tmp_path.rglob("*.json"))
    files[1].unlink()
    server.gate.set()
    assert one.flush(120)
    assert "reports in the spool are lost" in capsys.readouterr().err
    assert server.lines[0] == "first"
    assert server.lines[-1] == "99"
    assert 50 < len(server.lines) < 101


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_leaves_nobody_waiting(make, server):
    server.troubles = [SystemExit("somebody has killed the thread")]
    others = set(threading.enumerate())
    one = make()
    (thread,) = set(threading.enumerate()) - others
    one.log(line(1))
    assert one.flush(120) is False
    thread.join(120)  # what is warned of at its end belongs to this test
