"""What runs write arrives as their log: every line, in order, with the run it belongs to."""

import asyncio
import contextlib
import io
import logging
import logging.config
import sys
import threading
import warnings

import pytest

from penstock import flow, get_run_logger, task
from penstock.context import get_run_context
from penstock.errors import ConfigurationError, MissingContext
from penstock.logging import disable_run_logger, flow_run_logger, get_logger, task_run_logger


def own(accounts, run):
    """The messages that user code has written."""
    ours = ("Created ", "Finished ")
    return [message for message in accounts.messages(run) if not message.startswith(ours)]


def test_lines_belong_to_the_task_or_flow_that_wrote_them(accounts):
    @task
    def inner():
        get_run_logger().warning("in the %s", "task")

    @flow
    def outer():
        get_run_logger().info("in the flow")
        inner()

    outer()
    run = accounts.flow_run(outer)
    found = {line.message: line for line in accounts.logs(run)}
    (task_run,) = accounts.task_runs(run).values()
    assert (found["in the flow"].name, found["in the flow"].task_run_id) == ("penstock.flow_runs", None)
    line = found["in the task"]
    assert (line.name, line.level, line.task_run_id) == ("penstock.task_runs", 30, task_run.id)


def test_the_level_is_a_setting_that_each_run_reads(accounts, monkeypatch):
    @flow
    def levelled():
        get_run_logger().debug("detail")
        get_run_logger().warning("trouble")

    monkeypatch.setenv("PENSTOCK_LOGGING_LEVEL", "WARNING")
    levelled()
    monkeypatch.setenv("PENSTOCK_LOGGING_LEVEL", "DEBUG")
    levelled()
    first, second = accounts.flow_runs(levelled)
    assert accounts.messages(first) == ["trouble"]
    assert own(accounts, second) == ["detail", "trouble"]


def test_at_debug_each_task_run_is_told_when_it_comes_and_goes(accounts, monkeypatch):
    @task
    def told():
        return 1

    @flow
    def telling():
        told()

    telling()
    monkeypatch.setenv("PENSTOCK_LOGGING_LEVEL", "DEBUG")
    telling()
    quiet, loud = accounts.flow_runs(telling)
    assert not [message for message in accounts.messages(quiet) if "told" in message]
    created, finished = (line for line in accounts.logs(loud) if line.level == logging.DEBUG)
    assert created.message == "Created task run 'told-0' for task 'told'"
    assert finished.message == "Finished in state Completed"
    assert finished.task_run_id is not None


def test_extra_facts_are_on_the_records_and_children_belong_to_the_run(accounts):
    records = []
    catcher = logging.Handler()
    catcher.emit = records.append

    @flow
    def extra():
        logger = get_run_logger(customer="acme")
        logger.info("one", extra={"order": 7})
        logger.getChild("part").info("two")

    logging.getLogger("penstock.flow_runs").addHandler(catcher)
    try:
        extra()
    finally:
        logging.getLogger("penstock.flow_runs").removeHandler(catcher)
    run = accounts.flow_run(extra)
    one = next(record for record in records if record.getMessage() == "one")
    assert (one.customer, one.order, one.flow_run_id, one.flow_run_name, one.flow_name) == (
        "acme", 7, str(run.id), run.name, "extra",
    )  # fmt: skip
    assert {line.message: line.name for line in accounts.logs(run)}["two"] == "penstock.flow_runs.part"


def test_a_line_that_cannot_be_formatted_is_told_and_breaks_nothing(accounts, monkeypatch):
    logger = logging.getLogger("penstock.flow_runs")

    class Broken:
        def __repr__(self):
            raise RuntimeError("no text")

    @flow
    def careless():
        # without pytest's own handlers, which raise what they cannot format
        monkeypatch.setattr(
            logger, "handlers", [h for h in logger.handlers if type(h).__module__.startswith("penstock")]
        )
        write_badly(get_run_logger())

    def write_badly(logger):
        logger.info("%d apples", "many")
        logger.info(Broken())
        logger.info({"an": "object"})
        logger.info("100 %")
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            logger.exception("it broke")

    assert careless(return_state=True).is_completed()
    first, second, *others, last = own(accounts, accounts.flow_run(careless))
    assert first.startswith("%d apples")
    assert "many" in first
    assert "Broken" in second
    assert others == ["{'an': 'object'}", "100 %"]
    assert last.startswith("it broke\nTraceback")
    assert last.endswith("ZeroDivisionError: division by zero")


def test_lines_of_extra_loggers_belong_to_the_run_and_come_once(accounts, monkeypatch, capsys):
    monkeypatch.setenv("PENSTOCK_LOGGING_EXTRA_LOGGERS", "library, library.part,py.warnings")
    shown = logging.StreamHandler(sys.stderr)

    @flow
    def using():
        logging.getLogger("library").info("from the library")
        logging.getLogger("library.part.deep").info("from deep inside")
        logging.getLogger("another").error("not asked for")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("take care", stacklevel=1)

    logging.getLogger().addHandler(shown)
    try:
        using()
    finally:
        logging.getLogger().removeHandler(shown)
        logging.captureWarnings(False)
    lines = {line.message: line.name for line in accounts.logs(accounts.flow_run(using))}
    assert lines["from the library"] == "library"
    assert lines["from deep inside"] == "library.part.deep"
    assert "not asked for" not in lines
    assert [name for message, name in lines.items() if "take care" in message] == ["py.warnings"]
    messages = accounts.messages(accounts.flow_run(using))
    assert len(messages) == len(set(messages))
    assert capsys.readouterr().err.count("from deep inside") == 1


def test_a_line_for_the_server_outside_of_any_run_is_warned_of_once_ignored_or_refused(accounts, monkeypatch):
    monkeypatch.setenv("PENSTOCK_LOGGING_EXTRA_LOGGERS", "outside")

    @flow
    def nothing():
        pass

    nothing()
    logger = logging.getLogger("outside")
    with pytest.warns(UserWarning, match="Logger 'outside' was to send a line to the server"):
        logger.info("nowhere")
    logger.info("nowhere again: told before")
    monkeypatch.setenv("PENSTOCK_LOGGING_TO_API_WHEN_MISSING_FLOW", "error")
    with pytest.raises(MissingContext, match="'outside'"):
        logger.info("nowhere")
    monkeypatch.setenv("PENSTOCK_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    logger.info("nowhere")


def test_lines_of_threads_that_the_code_has_started_belong_to_the_run(accounts, monkeypatch):
    monkeypatch.setenv("PENSTOCK_LOGGING_EXTRA_LOGGERS", "threaded")

    @flow(log_prints=True)
    def starting():
        def work():
            get_run_logger().info("by the run's logger")
            logging.getLogger("threaded").info("by a library")
            print("by print")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    starting()
    assert own(accounts, accounts.flow_run(starting)) == ["by the run's logger", "by a library", "by print"]


def test_prints_are_lines_where_that_is_wanted(accounts, capsys):
    @task
    def as_the_flow():
        print("task", 1, sep=": ")

    @task(log_prints=False)
    def not_this_one():
        print("a plain print")

    @flow(log_prints=True)
    def inner():
        print("inner")

    @flow
    def quiet():
        print("plain in a subflow that inherits", file=None)

    @flow(log_prints=True)
    def printing(path):
        print("pieces", end="")
        print(" of", end=" ")
        print("a line")
        print("two\nlines")
        print("to stderr", file=sys.stderr)
        with open(path, "w") as file:
            print("to a file", file=file)
        with contextlib.redirect_stdout(io.StringIO()) as caught:
            print("caught")
        assert caught.getvalue() == "caught\n"
        print("dangling", end="")
        as_the_flow()
        not_this_one()
        inner()
        quiet()

    path = accounts.server.home / "printed.txt"
    printing(str(path))
    run = accounts.flow_run(printing)
    assert [line for line in own(accounts, run) if "subflow run" not in line] == [
        "pieces of a line", "two\nlines", "to stderr", "task: 1", "dangling",
    ]  # fmt: skip
    assert path.read_text() == "to a file\n"
    assert own(accounts, accounts.flow_run(inner)) == ["inner"]
    assert own(accounts, accounts.flow_run(quiet)) == ["plain in a subflow that inherits"]
    assert "a plain print\n" in capsys.readouterr().out
    with pytest.raises(TypeError):
        print("print is print again", nonsense=1)


def test_prints_of_concurrent_tasks_do_not_mix(accounts):
    together = threading.Barrier(4, timeout=30)

    @task
    def writes(n):
        together.wait()
        for part in range(20):
            print(f"task {n}", end=" ")
            print(f"part {part}")

    @flow(log_prints=True)
    def concurrent():
        writes.map(range(4))

    concurrent()
    run = accounts.flow_run(concurrent)
    names = {task_run.id: name for name, task_run in accounts.task_runs(run).items()}
    by_task = {}
    for line in accounts.logs(run):
        if line.task_run_id is not None:
            by_task.setdefault(names[line.task_run_id], []).append(line.message)
    assert by_task == {f"writes-{n}": [f"task {n} part {part}" for part in range(20)] for n in range(4)}


def test_lines_of_asynchronous_tasks_belong_to_each(accounts):
    @task
    async def waits(n):
        get_run_logger().info("begins %d", n)
        await asyncio.sleep(0)
        print("ends", n)

    @flow(log_prints=True)
    async def asynchronous():
        await asyncio.gather(*(waits(n) for n in range(3)))

    asyncio.run(asynchronous())
    run = accounts.flow_run(asynchronous)
    found = {}
    for line in accounts.logs(run):
        if line.task_run_id is not None:
            found.setdefault(line.task_run_id, []).append(line.message.split())
    assert sorted(found.values()) == [[["begins", str(n)], ["ends", str(n)]] for n in range(3)]


def test_a_line_too_long_for_the_server_is_cut_told_once_and_shown_whole(accounts, monkeypatch, capsys):
    monkeypatch.setenv("PENSTOCK_LOGGING_TO_API_MAX_LOG_SIZE", "1000")

    @flow
    def verbose():
        for letter in "ab":
            get_run_logger().info(letter * 5_000)

    verbose()
    lines = [line for line in accounts.logs(accounts.flow_run(verbose)) if line.name == "penstock.flow_runs"]
    cut = [line.message for line in lines if line.message[0] in "ab"]
    assert len(cut) == 2
    for message in cut:
        assert len(message.encode()) <= 1_000
        kept, _, note = message.rpartition("\n")
        assert note == f"… {5_000 - len(kept)} characters were left out …"
    (told,) = (line.message for line in lines if line.level == logging.WARNING)
    assert "5000 characters was cut" in told
    assert "PENSTOCK_LOGGING_TO_API_MAX_LOG_SIZE" in told
    assert "b" * 5_000 in capsys.readouterr().err


def test_without_the_server_lines_are_only_shown(accounts, monkeypatch, capsys):
    monkeypatch.setenv("PENSTOCK_LOGGING_TO_API", "false")

    @flow
    def unsent():
        get_run_logger().info("only here")

    unsent()
    assert accounts.logs(accounts.flow_run(unsent)) == []
    assert "only here" in capsys.readouterr().err


def test_a_logging_file_can_wire_everything_anew(accounts, monkeypatch, tmp_path):
    file = tmp_path / "log.yml"
    file.write_text(f"""
formatters:
  named:
    (): penstock.logging.formatters.PenstockFormatter
    format: "%(message)s"
    flow_run_fmt: "flow %(flow_run_name)s: %(message)s"
handlers:
  file: {{class: logging.FileHandler, filename: {tmp_path}/out.log, formatter: named}}
  api: {{class: penstock.logging.handlers.APILogHandler}}
loggers:
  penstock.flow_runs: {{level: INFO, handlers: [file, api], propagate: false}}
""")
    monkeypatch.setenv("PENSTOCK_LOGGING_SETTINGS_PATH", str(file))

    @flow
    def wired():
        get_run_logger().info("by the file")

    wired()
    run = accounts.flow_run(wired)
    for handler in logging.getLogger("penstock.flow_runs").handlers[:]:
        handler.close()
        logging.getLogger("penstock.flow_runs").removeHandler(handler)
    assert accounts.messages(run).count("by the file") == 1
    assert f"flow {run.name}: by the file\n" in (tmp_path / "out.log").read_text()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PENSTOCK_LOGGING_LEVEL", "LOUD", "There is no logging level 'LOUD'"),
        ("PENSTOCK_LOGGING_TO_API_MAX_LOG_SIZE", "12", "expected 200 to 1000000 bytes"),
        ("PENSTOCK_LOGGING_SETTINGS_PATH", "/nowhere.yml", "PENSTOCK_LOGGING_SETTINGS_PATH: /nowhere.yml"),
    ],
)
def test_a_mistake_in_how_to_log_is_told_before_there_is_a_run(accounts, monkeypatch, name, value, told):
    @flow(name=f"mistaken-{name}")
    def mistaken():
        pass

    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=told):
        mistaken()
    assert accounts.flow_runs(mistaken) == []


def test_a_configuration_that_disables_existing_loggers_does_not_silence_the_run(accounts):
    @flow
    def configuring():
        logging.config.dictConfig({"version": 1})
        get_run_logger().info("still here")

    others = {name: logger.disabled for name, logger in _loggers().items()}
    try:
        configuring()
    finally:
        for name, logger in _loggers().items():
            logger.disabled = others.get(name, False)
    warning, line = own(accounts, accounts.flow_run(configuring))
    assert "had been disabled" in warning
    assert line == "still here"


def _loggers():
    found = logging.Logger.manager.loggerDict
    return {name: logger for name, logger in found.items() if isinstance(logger, logging.Logger)}


def test_the_logger_of_a_run_can_be_had_by_its_model_in_the_run_and_from_outside(accounts):
    @task
    def one():
        task_run_logger(get_run_context().task_run, one).info("of the task run")

    @flow
    def modelled():
        flow_run_logger(get_run_context().flow_run, modelled).info("of the flow run")
        one()

    modelled()
    run = accounts.flow_run(modelled)
    (task_run,) = accounts.task_runs(run).values()

    @flow
    def another():
        flow_run_logger(run).info("from another run, about the flow run")

    another()
    task_run_logger(task_run).warning("from outside, about the task run")
    lines = [
        (line.message, line.task_run_id)
        for line in accounts.logs(run)
        if "of the" in line.message or "from" in line.message
    ]
    assert lines == [
        ("of the flow run", None),
        ("of the task run", task_run.id),
        ("from another run, about the flow run", None),
        ("from outside, about the task run", task_run.id),
    ]
    assert own(accounts, accounts.flow_run(another)) == []


def test_a_line_for_another_process_that_cannot_be_sent_is_told(accounts, monkeypatch, capsys):
    @flow
    def over():
        pass

    over()
    run = accounts.flow_run(over)
    monkeypatch.setenv("PENSTOCK_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("PENSTOCK_CLIENT_MAX_RETRIES", "0")
    flow_run_logger(run).info("lost")
    shown = capsys.readouterr().err
    assert "lost" in shown
    assert "the line above did not reach the server" in shown


def test_outside_of_runs_a_run_logger_exists_only_where_it_is_disabled():
    with pytest.raises(MissingContext, match="There is no run here"):
        get_run_logger()
    with disable_run_logger():
        get_run_logger().info("nobody hears this")
    with pytest.raises(MissingContext):
        get_run_logger()


def test_lines_that_belong_to_no_run_are_only_shown():
    assert get_logger().name == "penstock"
    assert get_logger("mine").name == "penstock.mine"
    assert get_logger("penstock.mine") is get_logger("mine")
    assert get_logger("mine").isEnabledFor(logging.INFO)
