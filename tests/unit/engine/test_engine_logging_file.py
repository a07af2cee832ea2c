"""The logging file: what it can say, and how mistakes in it are told."""

import io
import json
import logging

import pytest

from penstock.engine import logging_file
from penstock.engine.log_formatters import JsonFormatter, PenstockFormatter
from penstock.errors import ConfigurationError

WHOLE = """
version: 1
formatters:
  standard:
    (): penstock.logging.formatters.PenstockFormatter
    format: "%(levelname)s plain - %(message)s"
    flow_run_fmt: "%(levelname)s flow %(flow_run_name)r - %(message)s"
    task_run_fmt: "%(levelname)s task %(task_run_name)r - %(message)s"
  json:
    class: penstock.logging.formatters.JsonFormatter
    format: default
handlers:
  console:
    level: 0
    class: penstock.logging.handlers.PenstockConsoleHandler
    formatter: standard
  api:
    level: 0
    class: penstock.logging.handlers.APILogHandler
loggers:
  filed:
    level: "${PENSTOCK_LOGGING_LEVEL}"
    handlers: [console]
    propagate: false
"""


@pytest.fixture(autouse=True)
def _restored(monkeypatch, tmp_path):
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    logger = logging.getLogger("filed")
    yield
    logger.handlers[:] = []
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "logging.yml").write_text(text)
        return tmp_path / "logging.yml"

    return write


def test_without_a_file_there_is_nothing_to_load():
    assert logging_file.stamp() is None


def test_a_file_that_is_named_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PENSTOCK_LOGGING_SETTINGS_PATH", str(tmp_path / "nowhere.yml"))
    with pytest.raises(ConfigurationError, match=r"nowhere\.yml: No such file"):
        logging_file.stamp()


def test_a_changed_file_is_another_one(write):
    write(WHOLE)
    before = logging_file.stamp()
    assert logging_file.stamp() == before
    write(WHOLE + "\n# more\n")
    assert logging_file.stamp() != before


def test_loggers_are_what_the_file_says_and_others_stay(write, capsys, monkeypatch):
    monkeypatch.setenv("PENSTOCK_LOGGING_LEVEL", "ERROR")
    other = logging.getLogger("another.one")
    logging_file.apply(write(WHOLE))
    logging.getLogger("filed").warning("too low")
    logging.getLogger("filed").error("shown")
    logging.getLogger("filed").error("of a run", extra={"flow_run_id": "1", "flow_run_name": "blue-fox"})
    assert capsys.readouterr().err == "ERROR plain - shown\nERROR flow 'blue-fox' - of a run\n"
    assert not other.disabled


def test_the_environment_overrides_any_value(write, capsys, monkeypatch):
    monkeypatch.setenv("PENSTOCK_LOGGING_HANDLERS_CONSOLE_FORMATTER", "json")
    monkeypatch.setenv("PENSTOCK_LOGGING_LOGGERS_FILED_LEVEL", "10")
    logging_file.apply(write(WHOLE))
    logging.getLogger("filed").debug("as json")
    found = json.loads(capsys.readouterr().err)
    assert (found["message"], found["levelname"]) == ("as json", "DEBUG")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("handlers:\n  - [", r"line 2: this is not valid YAML"),
        ("just words", r"expected keys such as handlers"),
        ("handlers:\n  api:\n    class: no.such.Handler\n", r"line 2: handlers\.api: .*no"),
        ("loggers:\n  a: {}\n  b:\n    level: LOUD\n", r"line 3: loggers\.b: .*Unknown level: 'LOUD'"),
        ("loggers:\n  a:\n    level: ${NO_SUCH_VARIABLE}\n", r"line 3: loggers\.a\.level: \$\{NO_SUCH_VARIABLE\}"),
        (
            "formatters:\n  j:\n    class: penstock.logging.formatters.JsonFormatter\n    format: nice\n",
            r"line 2: formatters\.j: .*'default' or 'pretty', not 'nice'",
        ),
        (
            "handlers:\n  c:\n    class: penstock.logging.handlers.PenstockConsoleHandler\n    colour: red\n",
            r"line 2: handlers\.c: .*colour",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(write, text, told):
    with pytest.raises(ConfigurationError, match=told):
        logging_file.apply(write(text))


def test_a_formatter_tells_lines_of_runs_from_others():
    formatter = PenstockFormatter("p %(message)s", task_run_fmt="t %(task_run_name)s %(message)s")
    record = logging.LogRecord("n", 20, "f", 1, "m", (), None)
    assert formatter.format(record) == "p m"
    record.flow_run_id, record.flow_run_name = "1", "x"
    assert formatter.format(record) == "p m"
    record.task_run_id, record.task_run_name = "2", "y"
    assert formatter.format(record) == "t y m"


def test_a_json_line_holds_the_exception_and_what_json_has_no_word_for():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("pretty"))
    logger = logging.getLogger("filed")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("it broke", extra={"thing": object(), "penstock_run": object()})
    found = json.loads(stream.getvalue())
    assert (found["exc_info"]["type"], found["exc_info"]["message"]) == ("ValueError", "no")
    assert found["thing"].startswith("<object")
    assert "penstock_run" not in found
