"""Pieces of pods' logs: every line once, whatever times they carry, gone on from one number."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from penstock.infrastructure.kubernetes import output

BASE = datetime(2026, 1, 1, tzinfo=UTC)


def stamped(nanoseconds: int, text: str, zone: str = "Z") -> bytes:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.fromtimestamp(BASE.timestamp() + seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}{zone} {text}".encode()


async def _lines(raw: list[bytes]) -> AsyncIterator[bytes]:
    for line in raw:
        yield line


def read(log: list[bytes], since: int, ended: bool = True, most: int = 100) -> tuple[str, int]:
    """A piece of `log`, of which the kubelet leaves out what lies before the time that is asked for."""
    asked = output.query_since(since).get("sinceTime", "0000")
    kept = [line for line in log if line.decode()[:20].replace(".", "Z") >= asked]
    piece = asyncio.run(_read(kept, since, ended, most))
    return piece.text, piece.offset


async def _read(log: list[bytes], since: int, ended: bool, most: int) -> output.Output:
    return await output.read(_lines(log), since, ended, most)


@given(
    st.lists(st.integers(0, 20).map(lambda n: n * 250_000_000), min_size=1, max_size=60),
    st.integers(20, 400),
    st.integers(0, 900_000_000),
)
def test_every_line_comes_once_and_in_order(times: list[int], most: int, back: int) -> None:
    # times rise on the whole, and run back by less than a second: two streams are stamped apart
    moments = [max(0, moment - (back if index % 3 == 0 else 0)) for index, moment in enumerate(sorted(times))]
    log = [stamped(moment, f"line {index}\n") for index, moment in enumerate(moments)]
    text, offset, piece = "", 0, None
    while piece != "":
        piece, offset = read(log, offset, most=most)
        text += piece
    assert text == "".join(f"line {index}\n" for index in range(len(log)))


def test_a_log_that_grows_is_gone_on_from_where_it_was() -> None:
    log = [stamped(1, "a\n"), stamped(1, "b\n")]
    text, offset = read(log, 0)
    assert text == "a\nb\n"
    log += [stamped(1, "c\n"), stamped(2, "d\n")]
    text, offset = read(log, offset)
    assert text == "c\nd\n"
    assert read(log, offset) == ("", offset)


def test_a_last_line_without_an_end_is_held_back_until_the_job_has_ended() -> None:
    log = [stamped(1, "whole\n"), stamped(2, "part")]
    text, offset = read(log, 0, ended=False)
    assert text == "whole\n"
    assert read(log, offset, ended=True)[0] == "part"


def test_a_log_that_was_rotated_away_goes_on_with_what_is_there() -> None:
    _, offset = read([stamped(1, "old\n")], 0)
    hour = 3600 * 1_000_000_000
    assert read([stamped(hour, "new\n"), stamped(hour + 1, "newer\n")], offset)[0] == "new\nnewer\n"


def test_times_inside_a_long_line_are_taken_out() -> None:
    parts = [b"x" * 16384, b"y" * 16384, b"z" * 10 + b"\n"]
    raw = b"".join(stamped(index, "") + part for index, part in enumerate(parts))
    line = output.parse(raw)
    assert line is not None
    assert line[1] == b"".join(parts)


def test_a_line_of_the_kubelets_own_is_none_of_the_log() -> None:
    log = [stamped(1, "a\n"), b"rpc error: code = NotFound desc = an error occurred\n"]
    assert read(log, 0)[0] == "a\n"


def test_a_line_without_bounds_is_cut() -> None:
    text, _ = read([stamped(1, "x" * 500 + "\n")], 0)
    assert text.startswith("x" * 100 + " … ")
    assert len(text) < 200


def test_times_of_any_zone_and_length_are_read() -> None:
    for stamp in ("2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00.000000000Z"):
        line = output.parse(f"{stamp} text\n".encode())
        assert line == (int(BASE.timestamp()) * 1_000_000_000, b"text\n")
