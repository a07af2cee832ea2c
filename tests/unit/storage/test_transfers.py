"""Many files on their way: several at once, the first error counts, the log is told, the network may fail."""

import logging
import threading
from pathlib import Path

import pytest

from penstock.storage import transfers
from penstock.storage.store_errors import explained, is_networks_fault, kind_of, words_of
from penstock.storage.transfers import Transfer, carry_out, patiently, size_text


def test_all_are_carried_out_and_never_more_at_once_than_allowed() -> None:
    done: set[str] = set()
    running, most, lock, together = 0, 0, threading.Lock(), threading.Barrier(4)

    def copy(transfer: Transfer) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(120)
        with lock:
            running -= 1
            done.add(transfer.source)

    carry_out([Transfer(str(number), "x") for number in range(40)], copy, at_once=4, told=None)
    assert (len(done), most) == (40, 4)


def test_the_first_error_is_raised_and_nothing_more_is_begun() -> None:
    begun: list[str] = []

    def copy(transfer: Transfer) -> None:
        begun.append(transfer.source)
        if transfer.source == "3":
            raise PermissionError("not allowed")

    with pytest.raises(PermissionError, match="not allowed"):
        carry_out([Transfer(str(number), "x") for number in range(40)], copy, at_once=1, told=None)
    assert begun == ["0", "1", "2", "3"]


def test_the_log_is_told_how_far_files_have_come(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "TELL_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    told = threading.Event()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "1 of 2 files, 1.5 kB of 3.0 kB fetched from there" in record.getMessage():
                told.set()

    handler = Told()
    logging.getLogger("penstock.storage").addHandler(handler)

    def copy(transfer: Transfer) -> None:
        Path(transfer.target).write_bytes(bytes(1000 if transfer.source == "a" else 500))
        assert transfer.source == "a" or told.wait(120)  # b is half there until the log has said so

    try:
        both = [Transfer("a", tmp_path / "f" / "a", 1000), Transfer("b", tmp_path / "f" / "b", 2000)]
        carry_out(both, copy, at_once=2, told="fetched from there")
    finally:
        logging.getLogger("penstock.storage").removeHandler(handler)
    assert "2 files, 3.0 kB fetched from there in" in caplog.text


def test_only_what_the_network_did_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "LONGEST_WAIT", 0.0)
    tries: list[int] = []

    def fails(error: Exception, times: int) -> str:
        tries.append(1)
        if len(tries) <= times:
            raise error
        return "there"

    assert patiently(lambda: fails(ConnectionResetError("lost"), 2)) == "there"
    tries.clear()
    with pytest.raises(TimeoutError):
        patiently(lambda: fails(TimeoutError(), 9), tries=3)
    assert len(tries) == 3
    tries.clear()
    with pytest.raises(PermissionError):
        patiently(lambda: fails(PermissionError("no"), 9))
    assert len(tries) == 1


class _HttpError(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


class AuthenticationException(EOFError):
    """As paramiko calls it, whose base says that the network was at fault."""


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ConnectionResetError(), True),
        (EOFError(), True),
        (_caused(OSError("wrapped"), TimeoutError()), True),
        (AuthenticationException(), False),
        (_caused(FileNotFoundError(), ConnectionResetError()), False),
        (ValueError(), False),
    ],
)
def test_errors_of_the_network_are_known_from_others(error: Exception, again: bool) -> None:
    assert is_networks_fault(error) is again


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_HttpError(404), FileNotFoundError),
        (_HttpError(403), PermissionError),
        (_HttpError(500), OSError),
        (OSError("Forbidden: https://x"), PermissionError),
        (KeyError("x"), OSError),
    ],
)
def test_errors_of_stores_become_pythons(error: Exception, kind: type[OSError]) -> None:
    assert kind_of(error) is kind


def test_words_are_one_line_without_what_is_for_support() -> None:
    assert words_of(Exception("No such\ncontainer.\nRequestId:1\nTime:2")) == "No such container."
    assert words_of(Exception()) == "Exception"
    no_credentials = type("NoCredentialsError", (Exception,), {})("Unable to locate credentials")
    assert explained(no_credentials, "Unable to locate credentials").endswith(
        "credentials. Give the block keys, or the machine: variables of the environment, a profile, a role."
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (3 * 10**12, "3.0 TB")],
)
def test_sizes_are_told_in_the_unit_that_fits(count: int, text: str) -> None:
    assert size_text(count) == text
