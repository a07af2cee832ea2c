import io
import os

from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.output import TAIL_BYTES, Console, clean


@given(st.text())
def test_cleaned_output_fits_every_database(text: str) -> None:
    cleaned = clean(text)
    assert "\x00" not in cleaned
    assert len(cleaned.encode()) <= TAIL_BYTES


def test_the_end_of_long_output_is_kept() -> None:
    cleaned = clean("€" * TAIL_BYTES + "the end")
    assert cleaned.endswith("€the end")
    assert len(cleaned.encode()) <= TAIL_BYTES


def test_each_line_is_shown_with_the_name_of_its_run() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.write("run", "one\ntwo\n")
    console.flush(30)
    assert stream.getvalue() == "run | one\nrun | two\n"


def test_a_reader_that_does_not_read_stops_nobody_and_learns_what_it_missed() -> None:
    reading, writing = os.pipe()
    console = Console(os.fdopen(writing, "w"))
    piece = "x" * 10_000 + "\n"
    for _ in range(Console.MOST_WAITING + 100):
        console.write("run", piece)  # far beyond what the pipe takes: this must not block
    with os.fdopen(reading) as reader:
        seen = ""
        while "not shown" not in seen:
            seen = reader.readline()
