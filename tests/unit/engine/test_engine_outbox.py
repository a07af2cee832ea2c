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
    assert box.on_disk == 1
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
