"""The small parts of local processes: output, the kernel's log, records, and the words for an end."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import JobNotFound
from penstock.infrastructure.process import oom, output, procfs
from penstock.infrastructure.process.folder import JobFolder
from penstock.infrastructure.process.observation import ended
from penstock.infrastructure.process.records import ExitRecord, StopRecord
from penstock.model.reasons import Reason

A_KEEPER = {
    "boot_id": "a-boot",
    "keeper_pid": 1,
    "keeper_start_time": 2,
    "main_pid": 3,
    "main_start_time": 4,
    "host": "a-host",
    "started_at": "2026-01-02T03:04:05+00:00",
    "warm": False,
}
NOW = "2026-01-02T03:04:05+00:00"


@given(text=st.text(alphabet="ab\nüé漢😀", max_size=60), most=st.integers(5, 20))
def test_pieces_of_output_put_together_are_the_output(
    tmp_path_factory: pytest.TempPathFactory, text: str, most: int
) -> None:
    path = tmp_path_factory.mktemp("output") / "output"
    path.write_bytes(text.encode())
    pieces, offset = [], 0
    while piece := output.read(path, offset, ended=True, most=most):
        if not piece.text:
            break
        pieces.append(piece.text)
        offset = piece.offset
    assert "".join(pieces) == text


def test_a_line_without_an_end_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_bytes(b"one\ntw")
    first = output.read(path, 0, ended=False)
    assert (first.text, first.offset) == ("one\n", 4)
    assert output.read(path, 4, ended=False).text == ""
    assert output.read(path, 4, ended=True).text == "tw"


def test_what_is_no_text_is_shown_nevertheless(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_bytes(b"\xff\xfe\n")
    assert output.read(path, 0, ended=True).text == "\ufffd\ufffd\n"


def test_output_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(JobNotFound):
        output.read(tmp_path / "output", 0, ended=True)


KILLED = b"4,881,5000000,-;Memory cgroup out of memory: Killed process 4711 (python) total-vm:1kB, anon-rss:1kB"


@pytest.mark.parametrize(
    ("record", "since", "told"),
    [
        (KILLED, 0.0, True),
        (KILLED, 6.0, False),
        (KILLED.replace(b"4711", b"47110"), 0.0, False),
        (b"4,881,5000000,-;Out of memory: Killed process 4711 (python) total-vm:1kB", 0.0, True),
        (b"6,12,5000000,-;python[4711]: segfault", 0.0, False),
    ],
)
def test_the_kernels_log_tells_whom_it_killed_for_memory(record: bytes, since: float, told: bool) -> None:
    assert oom.tells_of(record, 4711, since) is told


def test_a_kernels_log_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    assert oom.killed_for_memory(1, log=str(tmp_path / "none")) is False


@pytest.mark.parametrize(
    ("record", "reason", "said"),
    [
        (ExitRecord(NOW, code=0), None, "code 0"),
        (ExitRecord(NOW, code=3), Reason.EXITED, "code 3"),
        (ExitRecord(NOW, signal=11), Reason.SIGNALLED, "SIGSEGV (signal 11)"),
        (ExitRecord(NOW, signal=9, oom=True), Reason.OUT_OF_MEMORY, "out of memory"),
        (ExitRecord(NOW, signal=15, stopped="asked"), Reason.SIGNALLED, "asked to stop"),
        (ExitRecord(NOW, signal=9, stopped="forced"), Reason.SIGNALLED, "forced"),
        (ExitRecord(NOW, reason="Lost", message="why"), Reason.LOST, "why"),
        (ExitRecord(NOW), Reason.UNKNOWN, "nobody knows"),
        (ExitRecord(NOW, signal=40), Reason.SIGNALLED, "signal 40"),
    ],
)
def test_an_end_has_a_reason_and_a_sentence(record: ExitRecord, reason: Reason | None, said: str) -> None:
    seen = ended(record)
    assert seen.reason is reason
    assert said in (seen.message or "")
    assert seen.exit is not None
    assert (seen.exit.code, seen.exit.signal) == (record.code, record.signal)


def test_a_record_that_was_never_written_whole_was_not_written(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path, "job")
    folder.make()
    for broken in (b"", b"{", b"[]", b"{}"):
        (folder.path / "stop.json").write_bytes(broken)
        assert folder.stop_order() is None
    folder.write_stop_order(StopRecord(grace=3))
    assert folder.stop_order() == StopRecord(grace=3)


def test_a_lock_is_held_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path, "job")
    assert not folder.is_kept()
    folder.make()
    lock = folder.lock()
    assert lock is not None
    assert folder.lock() is None
    assert folder.is_kept()
    os.close(lock)
    assert not folder.is_kept()


def test_a_sweep_removes_what_an_interrupted_start_left_and_no_job(tmp_path: Path) -> None:
    for name in ("interrupted", "about-to-start", "job", ".removed-job-1"):
        JobFolder(tmp_path, name).make()
    (tmp_path / "jobs" / "job" / "keeper.json").write_text(json.dumps(A_KEEPER))
    lock = JobFolder(tmp_path, "about-to-start").lock()
    assert lock is not None
    JobFolder.sweep(tmp_path, older_than=3600)
    assert len(os.listdir(tmp_path / "jobs")) == 4
    JobFolder.sweep(tmp_path, older_than=0)
    assert sorted(os.listdir(tmp_path / "jobs")) == ["about-to-start", "job"]
    os.close(lock)


def test_a_process_is_known_by_its_start_too() -> None:
    own = procfs.entry(os.getpid())
    assert own is not None
    assert procfs.is_alive(own.pid, own.start_time)
    assert not procfs.is_alive(own.pid, own.start_time + 1)
    assert procfs.entry(2**22 + 1) is None
