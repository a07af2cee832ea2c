"""Pieces of output: each record once from any offset, whole lines, and what Docker's logs have of their own."""

import io
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from penstock.infrastructure.docker.output import DISORDER_MS, Mark, Pieces
from penstock.infrastructure.docker.records import PART, Record, read_records

BEGAN = 1_795_409_651_000  # in milliseconds


def _record(ms: float, text: str | bytes, stream: int = 1) -> Record:
    data = text if isinstance(text, bytes) else text.encode()
    return Record(stream, int((BEGAN + ms) * 10**6), data)


def _time(record: Record) -> bytes:
    second = datetime.fromtimestamp(record.at // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{record.at % 10**9:09}Z".encode()


def _framed(records: Sequence[Record]) -> bytes:
    bodies = [(each.stream, _time(each) + b" " + each.data) for each in records]
    return b"".join(bytes([stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body for stream, body in bodies)


def _since(records: Sequence[Record], mark: Mark) -> Iterator[Record]:
    """As an engine answers: what was written at that time or later, in the order of its log."""
    return iter([record for record in records if record.at // 10**6 >= mark.since])


def _read_from(records: Sequence[Record], mark: Mark, *, ended: bool = True, now: int = 0) -> tuple[str, Mark]:
    pieces = Pieces(_since(records, mark), mark)
    return pieces.next(ended=ended, now=now).decode(), pieces.mark


@pytest.mark.parametrize("length", [1, 7, 65_536 - 8 - 31, 100_000])
def test_frames_are_read_wherever_they_are_cut(length: int) -> None:
    records = [_record(number, b"x" * length) for number in range(20)]
    assert list(read_records(io.BytesIO(_framed(records)).read)) == records


def test_frames_that_fill_the_blocks_that_are_read_are_all_read() -> None:
    records = [_record(number, b"x" * (128 - 8 - 31)) for number in range(2048)]
    assert len(list(read_records(io.BytesIO(_framed(records)).read))) == 2048


def test_a_frame_that_is_cut_off_is_none() -> None:
    records = [_record(0, "one\n"), _record(1, "two\n")]
    assert list(read_records(io.BytesIO(_framed(records)[:-1]).read)) == records[:1]


@pytest.mark.parametrize("zone", ["Z", "+02:00"])
@pytest.mark.parametrize("digits", ["", ".5", ".282533056"])
def test_times_are_read_with_any_number_of_digits(digits: str, zone: str) -> None:
    line = f"2026-11-23T04:59:56{digits}{zone} text\n".encode()
    [record] = read_records(io.BytesIO(line).read)
    expected = int(datetime.fromisoformat(f"2026-11-23T04:59:56{zone}").timestamp()) * 10**9
    assert (record.at, record.data) == (expected + int(digits.lstrip(".").ljust(9, "0")), b"text\n")


@pytest.mark.parametrize("seed", range(20))
def test_every_record_comes_once_whoever_reads_with_nothing_but_the_offset(seed: int) -> None:
    """While the log grows, and although stdout and stderr come into it out of order."""
    chance = random.Random(seed)
    moments = sorted(chance.choice([0, 0.3, 5, 1500]) * number for number in range(400))
    records = [
        _record(moment - chance.choice([0, 0, 0, 3, DISORDER_MS * 0.9]), f"{number}\n", chance.choice([1, 2]))
        for number, moment in enumerate(moments)
    ]
    mark, texts, text, there = Mark(), [], "", 0
    while there < len(records) or text:
        there = min(len(records), there + chance.choice([0, 1, 40]))
        newest = max((record.at // 10**6 for record in records[:there]), default=0)
        text, mark = _read_from(records[:there], mark, ended=False, now=newest + chance.choice([0, 500]))
        mark = Mark.read(mark.offset)
        texts.append(text)
    assert "".join(texts) == "".join(f"{number}\n" for number in range(400))


def test_what_is_read_again_becomes_little_when_the_log_is_quiet() -> None:
    records = [_record(number / 10, f"{number}\n") for number in range(3000)]
    _, mark = _read_from(records, Mark())
    assert mark.seen == 3000
    text, mark = _read_from(records, mark, now=BEGAN + 300 + DISORDER_MS + 1)
    assert (text, mark.since, mark.seen) == ("", BEGAN + 299, 10)


def test_the_beginning_of_a_line_waits_for_its_rest_or_the_end() -> None:
    part = b"x" * PART
    records = [_record(0, "one\n"), _record(1, part), _record(2, "from stderr\n", 2), _record(1, "the rest\n")]
    text, mark = _read_from(records[:3], Mark(), ended=False)
    assert text == "one\n"
    assert _read_from(records, mark)[0] == f"from stderr\n{part.decode()}the rest\n"
    assert _read_from(records[:3], mark, ended=True)[0] == f"from stderr\n{part.decode()}"


def test_a_line_longer_than_a_piece_comes_in_parts() -> None:
    records = [_record(0, b"x" * PART) for _ in range(10)] + [_record(0, "end\n")]
    pieces = Pieces(iter(records), Mark())
    parts = [pieces.next(ended=False, now=0, most=4 * PART) for _ in range(4)]
    assert [len(part) for part in parts] == [4 * PART, 4 * PART, 2 * PART + 4, 0]


def test_an_end_of_line_that_the_local_log_forgot_is_put_back() -> None:
    parts = [_record(0, b"x" * PART), _record(0, "rest"), _record(1, "next\n")]
    assert _read_from(parts, Mark())[0] == "x" * PART + "rest\nnext\n"


def test_an_offset_is_one_number_that_fits_into_eight_bytes() -> None:
    mark = Mark(int(datetime(2039, 1, 1, tzinfo=UTC).timestamp() * 1000), 4_000_000)
    assert Mark.read(mark.offset) == mark
    assert mark.offset < 2**63
