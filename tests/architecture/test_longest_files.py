"""tests/longest.txt names files that there are."""

from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_each_file_that_is_begun_early_exists_and_is_named_once() -> None:
    names = [line.split()[1] for line in (TESTS / "longest.txt").read_text().splitlines() if not line.startswith("#")]
    assert [name for name in names if not (TESTS / name).is_file()] == []
    assert len(names) == len(set(names)) > 0
