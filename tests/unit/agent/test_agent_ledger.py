from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.ledger import capacity

counts = st.integers(0, 200)


@given(limit=st.none() | st.integers(1, 100), live=counts, launching=counts, most=st.integers(1, 64))
def test_an_agent_never_asks_for_more_than_its_limit_and_what_it_can_start_at_once(
    limit: int | None, live: int, launching: int, most: int
) -> None:
    room = capacity(limit, live, launching, most)
    assert 0 <= room <= most
    assert room == 0 or launching + room <= most
    assert limit is None or room == 0 or live + room <= limit


def test_an_idle_agent_without_a_limit_asks_for_all_it_can_start() -> None:
    assert capacity(None, 0, 0, 32) == 32
