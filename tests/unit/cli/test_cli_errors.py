"""Errors: every kind has its exit code, one line, a hint; as JSON they are one object."""

import io
import json

import click
import pytest

from penstock import errors
from penstock.cli import exit_codes
from penstock.cli.errors import CheckFailed, TimedOut, UsageProblem, problem_of, show, wants_json
from penstock.cli.states import FINAL


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageProblem("x"), 2),
        (errors.ConfigurationError("x"), 2),
        (errors.ParameterError("x"), 2),
        (errors.Invalid("x"), 2),
        (click.UsageError("x"), 2),
        (errors.NotFound("x"), 3),
        (errors.NotAuthorized("x"), 4),
        (errors.Unreachable("x"), 5),
        (errors.Conflict("x"), 6),
        (CheckFailed("x"), 7),
        (TimedOut("x"), 8),
        (errors.Refused("x"), 1),
        (errors.CodeError("x"), 1),
        (errors.PenstockError("x"), 1),
        (RuntimeError("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert problem_of(error).exit_code == code


def test_every_exit_code_has_a_meaning() -> None:
    numbers = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert numbers == set(exit_codes.MEANINGS)
    assert set(exit_codes.OF_STATE) == FINAL


def test_people_get_two_lines() -> None:
    stream = io.StringIO()
    show(problem_of(errors.NotFound("no x", hint="try y")), stream, as_json=False, colour=False)
    assert stream.getvalue() == "error: no x\nhint: try y\n"


def test_machines_get_one_object() -> None:
    stream = io.StringIO()
    show(problem_of(errors.NotFound("no x", hint="try y")), stream, as_json=True, colour=True)
    assert json.loads(stream.getvalue()) == {"code": "not_found", "message": "no x", "hint": "try y"}


def test_what_a_storage_says_of_its_server_is_no_fault_of_ours() -> None:
    problem = problem_of(OSError("s3://flows/x cannot be used: could not connect"))
    assert (problem.message, problem.exit_code) == ("s3://flows/x cannot be used: could not connect", 1)
    assert problem_of(OSError(24, "Too many open files")).code == "internal"


def test_an_unforeseen_exception_is_called_a_fault_of_ours_without_a_traceback() -> None:
    problem = problem_of(KeyError("x"))
    assert "KeyError" in problem.message
    assert "-vv" in (problem.hint or "")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["flow", "ls", "-o", "json"], True),
        (["flow", "ls", "--output=json"], True),
        (["flow", "ls", "-ojsonl"], True),
        (["deployment", "build", "--format", "json"], True),
        (["flow", "ls", "-o", "yaml"], False),
        (["flow", "ls"], False),
        (["-o"], False),
    ],
)
def test_whether_errors_are_wanted_as_json_is_told_from_the_words(words: list[str], wanted: bool) -> None:
    assert wants_json(words) is wanted


@pytest.mark.parametrize(("kind", "word"), [(click.INT, "whole number"), (click.IntRange(1), "whole number"),
                                            (click.FLOAT, "number"), (click.FloatRange(0), "number")])  # fmt: skip
def test_a_number_that_is_none_is_told_in_plain_words(kind: click.ParamType, word: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        kind.convert("x", click.Option(["--limit"]), None)
    assert problem_of(refused.value).message == f"Invalid value for '--limit': 'x' is not a {word}."
