"""The attempt's token: a variable, or a file that a platform has put into the job."""

from pathlib import Path
from uuid import uuid4

import pytest

from penstock.client.sync import get_sync_client
from penstock.client.token_of_job import token_of_job
from penstock.engine.job import assignment_from, run_job
from penstock.errors import ConfigurationError

TOKEN = "v1.0123456789abcdef"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


def test_the_file_is_read_where_the_variable_is_not_set(token_file: Path) -> None:
    assert token_of_job({"PENSTOCK__ATTEMPT_TOKEN_FILE": str(token_file)}) == TOKEN


def test_the_variable_wins_and_the_file_is_not_even_opened(tmp_path: Path) -> None:
    environ = {"PENSTOCK__ATTEMPT_TOKEN": "mine", "PENSTOCK__ATTEMPT_TOKEN_FILE": str(tmp_path / "missing")}
    assert token_of_job(environ) == "mine"


def test_an_empty_variable_is_none(token_file: Path) -> None:
    assert token_of_job({"PENSTOCK__ATTEMPT_TOKEN": ""}) is None
    assert token_of_job({}) is None
    environ = {"PENSTOCK__ATTEMPT_TOKEN": "", "PENSTOCK__ATTEMPT_TOKEN_FILE": str(token_file)}
    assert token_of_job(environ) == TOKEN


def test_a_missing_file_is_named_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    with pytest.raises(ConfigurationError) as caught:
        token_of_job({"PENSTOCK__ATTEMPT_TOKEN_FILE": str(path)})
    assert str(path) in caught.value.message
    assert "No such file" in caught.value.message
    assert caught.value.hint is not None


@pytest.mark.parametrize("content", [b"", b" \n", b"two\nlines", b"\xff\xfe", b"x" * 5000])
def test_what_is_no_token_is_refused_and_never_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        token_of_job({"PENSTOCK__ATTEMPT_TOKEN_FILE": str(path)})
    assert str(path) in caught.value.message
    told = f"{caught.value.message} {caught.value.hint}"
    assert "lines" not in told
    assert "xxxx" not in told


def test_a_job_speaks_with_the_token_of_its_file(token_file: Path) -> None:
    run, attempt = uuid4(), uuid4()
    environ = {
        "PENSTOCK__FLOW_RUN_ID": str(run),
        "PENSTOCK__ATTEMPT_ID": str(attempt),
        "PENSTOCK__ATTEMPT_TOKEN_FILE": str(token_file),
    }
    assert assignment_from(environ).attempt == (attempt, TOKEN)


def test_an_attempt_without_any_token_is_refused_naming_both_variables() -> None:
    environ = {"PENSTOCK__FLOW_RUN_ID": str(uuid4()), "PENSTOCK__ATTEMPT_ID": str(uuid4())}
    with pytest.raises(ConfigurationError, match="PENSTOCK__ATTEMPT_TOKEN nor PENSTOCK__ATTEMPT_TOKEN_FILE"):
        assignment_from(environ)


def test_a_job_whose_token_cannot_be_read_ends_as_refused_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {
        "PENSTOCK__FLOW_RUN_ID": str(uuid4()),
        "PENSTOCK__ATTEMPT_ID": str(uuid4()),
        "PENSTOCK__ATTEMPT_TOKEN_FILE": str(tmp_path / "missing"),
    }
    assert run_job(environ) == 78
    assert "PENSTOCK__ATTEMPT_TOKEN_FILE" in capsys.readouterr().err


def test_code_of_a_job_that_asks_the_api_shows_the_token_of_the_file(
    token_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = uuid4()
    monkeypatch.delenv("PENSTOCK_API_KEY", raising=False)
    monkeypatch.delenv("PENSTOCK__ATTEMPT_TOKEN", raising=False)
    monkeypatch.setenv("PENSTOCK_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PENSTOCK__ATTEMPT_ID", str(attempt))
    monkeypatch.setenv("PENSTOCK__ATTEMPT_TOKEN_FILE", str(token_file))
    with get_sync_client() as client:
        assert client._options["attempt"] == (attempt, TOKEN)
    monkeypatch.setenv("PENSTOCK__ATTEMPT_TOKEN_FILE", str(tmp_path / "missing"))
    with get_sync_client() as client:
        assert client._options["attempt"] is None
