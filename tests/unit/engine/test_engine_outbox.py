import os
import stat

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engine.outbox import Outbox


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=40))))
def test_batches_leave_in_the_order_in_which_they_came_wherever_they_were_kept(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("outbox") / "stream"
    box, expected = Outbox(folder, in_memory=50), []
    for step in steps:
        if step is not None:
            box.append(step)
            expected.append(step)
        elif expected:
            assert box.head() == expected.pop(0)
            box.pop()
        assert len(box) == len(expected)
    for batch in expected:
        assert box.head() == batch
        box.pop()
    assert box.head() is None
    assert not folder.exists()


def test_what_does_not_fit_into_memory_is_readable_by_its_owner_only(tmp_path):
    box = Outbox(tmp_path / "spool" / "stream", in_memory=4)
    box.append(b"1234")
    box.append(b"5678")
    assert box.bytes_on_disk == 4
    assert stat.S_IMODE(os.stat(box.folder).st_mode) == 0o700
    (file,) = box.folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_kept_at_the_end_lies_on_disk_in_order(tmp_path):
    box = Outbox(tmp_path / "stream", in_memory=2)
    for batch in (b"a", b"b", b"c", b"d"):
        box.append(batch)
    box.pop()
    folder = box.keep()
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == [b"b", b"c", b"d"]


def test_nothing_is_kept_of_an_empty_outbox(tmp_path):
    assert Outbox(tmp_path / "stream").keep() is None
    assert not (tmp_path / "stream").exists()


def test_it_is_full_when_neither_memory_nor_disk_may_take_more_and_loses_nothing(tmp_path):
    box = Outbox(tmp_path / "stream", in_memory=4, on_disk=4)
    for batch in (b"1234", b"5678"):
        box.append(batch)
        assert not box.full
    box.append(b"9")
    assert box.full
    assert box.bytes_on_disk == 4
    found = []
    while (head := box.head()) is not None:
        found.append(head)
        box.pop()
    assert found == [b"1234", b"5678", b"9"]
    assert not box.full


def test_a_disk_that_takes_nothing_is_told_and_costs_nothing(tmp_path):
    (tmp_path / "in the way").write_text("a file where the folder should be")
    box = Outbox(tmp_path / "in the way" / "stream", in_memory=4)
    for batch in (b"1234", b"5678"):
        box.append(batch)
    assert isinstance(box.trouble, OSError)
    assert box.full
    assert box.head() == b"1234"
    box.pop()
    assert box.head() == b"5678"
    box.pop()
    assert not box.full


def test_a_batch_that_is_larger_than_the_memory_does_not_make_it_full(tmp_path):
    box = Outbox(tmp_path / "stream", in_memory=4)
    box.append(b"12345678")
    box.append(b"9")
    assert box.bytes_on_disk == 1
    assert not box.full
