import sys

import pytest

from penstock.engine import code
from penstock.errors import CodeError
from penstock.flows import load_flow_from_entrypoint, load_flow_from_script, load_flows_from_script

SOURCE = """
from unittest.mock import MagicMock
from penstock import flow, task
pretender = MagicMock()
@flow(name="The Report")
def report(): ...
@task
def step(): ...
def plain(): ...
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    (tmp_path / "reports.py").write_text(SOURCE)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("entrypoint", ["reports.py:report", "reports.py:The Report", "./reports.py:report"])
def test_a_flow_is_found_by_its_variable_or_its_name(folder, entrypoint):
    assert load_flow_from_entrypoint(entrypoint).name == "The Report"


def test_a_flow_is_found_in_a_module(folder):
    (folder / "pack").mkdir()
    (folder / "pack" / "inner.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    assert load_flow_from_entrypoint("pack.inner:report").name == "The Report"


def test_the_only_flow_of_a_file_needs_no_name(folder):
    assert load_flow_from_script("reports.py").name == "The Report"
    assert [flow.name for flow in load_flows_from_script("reports.py")] == ["The Report"]


def test_neighbours_of_the_file_can_be_imported(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "neighbour.py").write_text("WORD = 'x'")
    (folder / "deep" / "main_flow.py").write_text("import neighbour\n" + SOURCE)
    assert load_flow_from_entrypoint("deep/main_flow.py:report").name == "The Report"


def test_a_file_named_like_a_library_does_not_replace_it(folder):
    import json

    (folder / "json.py").write_text(SOURCE)
    assert load_flow_from_entrypoint("json.py:report").name == "The Report"
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("entrypoint", "kind", "words"),
    [
        ("reports", code.NOT_FOUND, "does not say where"),
        ("report.py:report", code.NOT_FOUND, "no file"),
        ("no_such_module:report", code.NOT_FOUND, "no_such_module"),
        ("reports.py:reprot", code.NO_SUCH_FLOW, "Did you mean 'report'"),
        ("reports.py:plain", code.NO_SUCH_FLOW, "a plain function"),
        ("reports.py:step", code.NO_SUCH_FLOW, "a task"),
        ("reports.py:pretender", code.NO_SUCH_FLOW, "no flow"),
        ("broken.py:report", code.IMPORT_FAILED, "SyntaxError"),
        ("raising.py:report", code.IMPORT_FAILED, "ValueError: at import"),
        ("needing.py:report", code.IMPORT_FAILED, "not_installed"),
    ],
)
def test_what_cannot_be_loaded_is_explained(folder, entrypoint, kind, words):
    (folder / "broken.py").write_text("def report(:\n")
    (folder / "raising.py").write_text("raise ValueError('at import')\n")
    (folder / "needing.py").write_text("import not_installed.inner\n")
    with pytest.raises(CodeError) as caught:
        load_flow_from_entrypoint(entrypoint)
    assert caught.value.code == kind
    assert words in caught.value.message


def test_a_missing_file_names_its_likely_neighbours(folder):
    with pytest.raises(CodeError) as caught:
        load_flow_from_entrypoint("report.py:report")
    assert "Did you mean 'reports.py'" in caught.value.hint


def test_two_flows_in_a_file_need_a_name(folder):
    (folder / "two.py").write_text(SOURCE + "\n@flow\ndef other(): ...\n")
    with pytest.raises(CodeError, match="2 flows"):
        load_flow_from_script("two.py")
    assert load_flow_from_script("two.py", "other").name == "other"
