"""Forms of data: what is printed can be read again, nothing is cut in a pipe, unknown fields are named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from penstock.cli import output
from penstock.cli.errors import UsageProblem
from penstock.cli.output import Column
from penstock.cli.session import FORMATS, Session

ROWS = [
    {"id": "1", "name": "casual-marten", "state": {"message": "a\tb\nc"}, "tags": ["x", "y"], "note": None},
    {"id": "2", "name": "n" * 300, "state": None, "tags": [], "note": True},
]
COLUMNS = [
    Column("NAME", "name"),
    Column("MESSAGE", "state.message"),
    Column("TAGS", "tags"),
    Column("ID", "id", wide=True),
]


def _printed(capsys: pytest.CaptureFixture[str], form: str | None, fields: tuple[str, ...] = ()) -> str:
    output.emit(Session(output=form, fields=fields), ROWS, COLUMNS, lambda row: str(row["id"]))
    return capsys.readouterr().out


def test_json_is_the_rows_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(_printed(capsys, "json")) == ROWS


def test_jsonl_is_one_row_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert [json.loads(line) for line in _printed(capsys, "jsonl").splitlines()] == ROWS


def test_yaml_is_the_rows_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    assert yaml.safe_load(_printed(capsys, "yaml")) == ROWS


def test_names_are_references_without_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert _printed(capsys, "name") == "1\n2\n"


def test_a_pipe_gets_tabs_and_whole_values(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _printed(capsys, None).splitlines()
    assert [len(line.split("\t")) for line in lines] == [3, 3, 3]
    assert lines[1].split("\t") == ["casual-marten", "a b c", "x, y"]
    assert "n" * 300 in lines[2]


def test_wide_has_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    assert _printed(capsys, "wide").splitlines()[0].split("\t") == ["NAME", "MESSAGE", "TAGS", "ID"]


@pytest.mark.parametrize("form", FORMATS)
def test_fields_choose_what_is_printed(capsys: pytest.CaptureFixture[str], form: str) -> None:
    text = _printed(capsys, form, ("id", "state.message"))
    assert "casual" not in text
    assert "1" in text


def test_an_unknown_field_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageProblem, match="Did you mean 'name'"):
        _printed(capsys, "json", ("nmae",))
    assert capsys.readouterr().out == ""


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_cell_never_breaks_its_line(value: object) -> None:
    text = output.text_of(value)
    assert not {"\t", "\n", "\r"} & set(text)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(20, 250))
def test_fitting_only_ever_narrows_and_leaves_something(widths: list[int], room: int) -> None:
    fitted = output._fitted(widths, room)
    assert all(0 < after <= max(before, 16) for after, before in zip(fitted, widths, strict=True))


def test_a_long_cell_is_cut_with_a_mark() -> None:
    assert output._aligned(["abcdefgh", "x"], [4, 1]) == "abc…  x"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--help >&-", 0),
        ("--version 2>&-", 0),
        ("config view >&-", 0),
        ("config veiw 2>&-", 2),
        ("profile ls >&- 2>&-", 0),
    ],
)
def test_a_stream_that_is_closed_is_not_missed(words: str, code: int, tmp_path: Path) -> None:
    env = {**os.environ, "PENSTOCK_HOME": str(tmp_path)}
    said = subprocess.run(f"{sys.executable} -m penstock.cli {words}", shell=True, env=env, capture_output=True)
    assert (said.returncode, b"Traceback" in said.stderr, b"should not happen" in said.stderr) == (code, False, False)


def test_a_full_disk_is_no_fault_of_ours(tmp_path: Path) -> None:
    env = {**os.environ, "PENSTOCK_HOME": str(tmp_path)}
    with Path("/dev/full").open("w") as full:
        said = subprocess.run(
            [sys.executable, "-m", "penstock.cli", "config", "view"], env=env, stdout=full, stderr=subprocess.PIPE
        )
    assert (said.returncode, b"error: It could not be written: No space left on device." in said.stderr) == (1, True)


def test_letters_that_the_terminal_does_not_know_are_written_as_numbers(tmp_path: Path) -> None:
    env = {**os.environ, "PENSTOCK_HOME": str(tmp_path / "näme"), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "penstock.cli", "config", "view", "-o", "yaml", "--fields", "value"]
    said = subprocess.run(command, env=env, capture_output=True, check=True)
    assert rb"n\xe4me" in said.stdout
