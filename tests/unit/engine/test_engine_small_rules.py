import json
import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine import deadlines, wire
from penstock.engine.batches import batches
from penstock.engine.deadlines import Timeout, call_within
from penstock.engine.interruption import Stoppable, TerminationSignal, interrupt
from penstock.engine.moments import moment
from penstock.engine.names import from_template
from penstock.engine.retries import delays_of, jittered
from penstock.engine.task_runners import ConcurrentTaskRunner
from penstock.errors import ConfigurationError
from penstock.model.base import plain
from penstock.testing import wait_until


@pytest.mark.parametrize(
    ("delay", "retries", "expected"),
    [(2, 3, [2, 2, 2]), ([1, 5], 3, [1, 5, 5]), ([1, 2, 3], 2, [1, 2]), ([], 2, [0, 0]), (lambda n: [n], 2, [2, 2])],
)
def test_there_is_one_delay_for_each_retry(delay, retries, expected):
    assert delays_of(delay, retries) == expected


@given(st.floats(0, 1e6), st.floats(0, 10), st.floats(0, 1, exclude_max=True))
def test_jitter_only_lengthens_and_never_beyond_its_factor(seconds, factor, chance):
    assert seconds <= jittered(seconds, factor, lambda: chance) <= seconds * (1 + factor)


def test_a_template_is_filled_in_with_parameters():
    assert from_template("load {table} of {day:02d}", {"table": "t", "day": 3}, "flow_run_name") == "load t of 03"


def test_a_template_that_names_an_unknown_parameter_is_explained():
    with pytest.raises(ConfigurationError) as caught:
        from_template("load {tabel}", {"table": "t"}, "flow_run_name")
    assert "Did you mean 'table'?" in caught.value.message


def test_a_name_function_must_return_text():
    with pytest.raises(ConfigurationError, match="returned int"):
        from_template(lambda: 3, {}, "task_run_name")


def test_moments_never_repeat_and_never_run_backwards():
    found = [moment() for _ in range(1000)]
    assert found == sorted(set(found))


@given(st.text(), st.integers(2, 50))
def test_shortened_text_keeps_both_ends(text, longest):
    short = wire.shorten(text, longest)
    if len(text) <= longest:
        assert short == text
    else:
        assert short.startswith(text[: longest // 2])
        assert short.endswith(text[-(longest // 2) :])


@given(st.text(alphabet=st.characters()))
def test_every_text_can_be_written_as_json_and_kept(text):
    assert "\x00" not in plain(text)
    plain(text + "\ud800").encode()


@pytest.mark.parametrize("template", ["load-{path}", lambda: "load-b\udcfccher"])
def test_names_made_of_what_is_no_text_can_be_kept(template):
    assert from_template(template, {"path": "b\udcfccher"}, "task_run_name") == "load-b\\udcfccher"


def test_a_story_with_what_is_no_text_in_it_holds_up_no_other():
    strange = {"create": {"tags": ["b\udcfccher"]}, "states": [{"name": "b\udcfccher"}], "run_count": 1}
    [body] = batches({"one": strange, "other": {"run_count": 2}}, [])
    [told, other] = json.loads(b"{" + body + b"}")["task_runs"]
    assert (told["create"], told["states"]) == ({"tags": ["b\\udcfccher"]}, [{"name": "b\\udcfccher"}])
    assert (told["run_count"], other["run_count"]) == (1, 2)


def test_no_batch_is_larger_than_allowed_and_nothing_is_lost():
    lines = [wire.log_line("n", 20, "x" * 100, "2026-01-01T00:00:00Z", "f", None) for _ in range(100)]
    found = list(batches({"t": {"run_count": 1}}, lines, largest=500))
    assert len(found) > 1
    assert all(len(batch) < 2100 for batch in found)
    assert sum(batch.count(b'"message"') for batch in found) == 100
    assert found[0].startswith(b'"task_runs":[{"task_run_id":"t"')


def in_thread(fn):
    found = []
    thread = threading.Thread(target=lambda: found.append(fn()))
    thread.start()
    thread.join(120)
    return found[0]


def endless():
    while True:
        time.sleep(0.01)


def too_slow():
    with pytest.raises(Timeout) as caught:
        call_within(0.05, endless)
    return caught.value.left_behind


def in_time():
    return call_within(60, lambda: "value")


def outer_first():
    with pytest.raises(Timeout):
        call_within(0.05, lambda: call_within(60, endless))
    return "the outer one"


def raising():
    with pytest.raises(ZeroDivisionError):
        call_within(60, lambda: 1 / 0)
    return "raised"


@pytest.mark.parametrize("where", [lambda fn: fn(), in_thread], ids=["main thread", "other thread"])
class TestDeadline:
    def test_code_that_takes_too_long_is_stopped(self, where, monkeypatch):
        monkeypatch.setattr(deadlines, "GRACE", 60.0)  # it heeds its deadline, as soon as the machine lets it
        assert where(too_slow) is False

    def test_code_that_is_in_time_is_left_alone(self, where):
        assert where(in_time) == "value"
        assert where(raising) == "raised"

    def test_the_nearer_deadline_wins(self, where):
        assert where(outer_first) == "the outer one"


def test_code_that_a_debugger_has_let_go_has_its_time_again():
    """A look at it that comes just then is not the end."""
    names = {"__name__": "pdb"}  # whoever runs in a debugger's module is held by it
    exec("def held(ring): ring()", names)
    looks = []

    def look():
        signal.raise_signal(signal.SIGALRM)
        looks.append("it goes on")

    def code():
        for _ in range(2):
            names["held"](look)
            look()
        look()

    with pytest.raises(Timeout):
        call_within(60, code)
    assert len(looks) == 4


def test_code_that_does_not_heed_its_deadline_is_left_behind():
    go = threading.Event()

    def deaf():
        with pytest.raises(Timeout) as caught:
            call_within(0.01, go.wait)
        return caught.value.left_behind

    assert in_thread(deaf) is True
    go.set()


def test_a_thread_that_waits_is_interrupted_by_whom_it_waits_for():
    started, told = threading.Event(), []

    def waiting():
        try:
            call_within(60, lambda: (started.set(), endless()))
        except TerminationSignal:
            told.append("told")

    thread = threading.Thread(target=waiting)
    thread.start()
    assert started.wait(120)
    interrupt(thread.ident, TerminationSignal)
    thread.join(120)
    assert told == ["told"]


def test_the_main_thread_is_woken_where_it_sleeps():
    code = Stoppable()
    timer = threading.Timer(0.05, lambda: code.stop(TerminationSignal))

    def sleep() -> None:
        timer.start()  # not before the code may be stopped
        threading.Event().wait(60)

    with pytest.raises(TerminationSignal), code:
        sleep()
    assert code.stop(TerminationSignal) is False


def test_a_stop_that_comes_too_late_stops_nothing():
    with Stoppable() as code:
        pass
    assert code.stop(TerminationSignal) is False


def test_a_thread_that_is_interrupted_when_its_task_has_just_ended_serves_the_next_one():
    runner = ConcurrentTaskRunner(max_workers=1)
    runner.start()
    ended, next_ended = threading.Event(), threading.Event()
    served: list[int] = []

    def first():
        served.append(threading.get_ident())
        ended.set()

    runner.submit(first)
    assert ended.wait(120)
    wait_until(lambda: runner._idle, 60, "it has no work any more")
    interrupt(served[0], TerminationSignal)
    runner.submit(next_ended.set)
    assert next_ended.wait(120), "nobody serves the next task"
    runner.stop()
