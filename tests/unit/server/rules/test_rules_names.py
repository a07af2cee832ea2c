from hypothesis import given
from hypothesis import strategies as st

from penstock.server.rules.names import FIRST, SECOND, two_words


@given(st.integers(0, 2**40))
def test_a_name_is_two_words_and_always_the_same(number: int) -> None:
    first, second = two_words(number).split("-")
    assert (first in FIRST, second in SECOND) == (True, True)
    assert two_words(number) == two_words(number)


def test_there_are_names_enough() -> None:
    assert len({two_words(number) for number in range(len(FIRST) * len(SECOND))}) == len(FIRST) * len(SECOND) > 20_000
