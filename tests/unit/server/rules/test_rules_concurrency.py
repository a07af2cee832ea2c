from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.rules.concurrency import (
    LONGEST_WAIT,
    SHORTEST_WAIT,
    Room,
    Wish,
    ask_again_after,
    average_occupancy,
    choose,
    decayed,
    seconds_until_free,
)

A, B, C = (UUID(int=number) for number in (1, 2, 3))
NOW = datetime(2030, 1, 1, tzinfo=UTC)

wishes = st.builds(
    Wish,
    holder=st.uuids(),
    limits=st.lists(st.sampled_from([A, B, C]), unique=True, max_size=3),
    slots=st.integers(1, 4),
    present=st.booleans(),
)
lines = st.lists(wishes, max_size=12)
rooms = st.dictionaries(
    st.sampled_from([A, B, C]), st.builds(Room, limit=st.integers(0, 5), taken=st.floats(0, 7, width=16))
)


def taken_by(chosen: list[Wish], key: UUID) -> int:
    return sum(wish.slots for wish in chosen if key in wish.limits)


@given(lines, rooms)
def test_no_limit_is_ever_exceeded_by_what_is_granted(line: list[Wish], limits: dict[UUID, Room]) -> None:
    chosen = choose(line, limits)
    for key, room in limits.items():
        if taken_by(chosen, key):
            assert room.taken + taken_by(chosen, key) <= room.limit + 1e-3


@given(lines, rooms)
def test_only_those_who_are_there_get_slots_and_in_the_order_in_which_they_came(
    line: list[Wish], limits: dict[UUID, Room]
) -> None:
    chosen = choose(line, limits)
    assert all(wish.present for wish in chosen)
    assert chosen == [wish for wish in line if wish in chosen]


@given(lines, rooms)
def test_nobody_is_overtaken_where_he_lacks_slots(line: list[Wish], limits: dict[UUID, Room]) -> None:
    chosen = choose(line, limits)
    free = {key: room.free for key, room in limits.items()}
    for place, wish in enumerate(line):
        wanted = [key for key in wish.limits if key in limits]
        lacking = [key for key in wanted if free[key] + 1e-6 < wish.slots]
        if wish not in chosen and wish.present:
            assert lacking, "who could have had slots got none"
            for key in lacking:
                assert not [later for later in chosen if later in line[place + 1 :] and key in later.limits]
        if lacking:
            free |= dict.fromkeys(lacking, 0.0)
        else:
            free |= {key: free[key] - wish.slots for key in wanted}


@given(lines)
def test_where_nothing_is_limited_everybody_who_is_there_goes_on(line: list[Wish]) -> None:
    assert choose(line, {}) == [wish for wish in line if wish.present]


@given(st.lists(wishes.filter(lambda wish: wish.present and wish.limits), min_size=1, max_size=8))
def test_whoever_waits_gets_slots_in_the_end_when_holders_give_them_back(line: list[Wish]) -> None:
    limits = dict.fromkeys((A, B, C), Room(4))
    waiting = list(line)
    for _ in line:
        chosen = choose(waiting, limits)
        assert waiting == [] or chosen, "nobody holds anything, and nobody gets anything"
        waiting = [wish for wish in waiting if wish not in chosen]
    assert waiting == []


def test_a_wish_that_waits_for_one_limit_keeps_nobody_from_another() -> None:
    both, only_b = Wish(uuid4(), [A, B]), Wish(uuid4(), [B])
    assert choose([both, only_b], {A: Room(1, 1), B: Room(1)}) == [only_b]


def test_a_large_wish_is_not_starved_by_small_ones() -> None:
    large, small = Wish(uuid4(), [A], slots=3), Wish(uuid4(), [A])
    assert choose([large, small], {A: Room(3, 1)}) == []


def test_somebody_who_will_be_back_at_once_keeps_his_place() -> None:
    away, next_one = Wish(uuid4(), [A], present=False), Wish(uuid4(), [A])
    assert choose([away, next_one], {A: Room(1)}) == []
    assert choose([away, next_one], {A: Room(2)}) == [next_one]


def test_a_limit_that_was_lowered_below_what_is_taken_grants_nothing_until_enough_is_free() -> None:
    wish = Wish(uuid4(), [A])
    assert choose([wish], {A: Room(1, 3)}) == []
    assert choose([wish], {A: Room(1, 1)}) == []
    assert choose([wish], {A: Room(1, 0)}) == [wish]


@given(st.floats(0, 100), st.floats(0, 10), st.floats(0, 1000))
def test_decay_only_frees_and_never_below_nothing(slots: float, per_second: float, seconds: float) -> None:
    left = decayed(slots, NOW, per_second, NOW + timedelta(seconds=seconds))
    assert 0 <= left <= slots
    assert decayed(slots, NOW, 0, NOW + timedelta(seconds=seconds)) == slots


@given(st.integers(1, 10), st.floats(0, 10), st.floats(0, 10), st.floats(0.1, 10), st.integers(1, 10))
def test_after_the_time_that_is_told_decay_has_made_room(
    limit: int, held: float, decaying: float, per_second: float, slots: int
) -> None:
    room = Room(limit, held + decaying)
    seconds = seconds_until_free(room, slots, decaying, per_second)
    if seconds is None:
        assert held + slots > limit - 1e-3
    else:
        later = Room(limit, held + decayed(decaying, NOW, per_second, NOW + timedelta(seconds=seconds)))
        assert later.free + 1e-3 >= slots


def test_nothing_comes_free_by_decay_where_nothing_decays() -> None:
    assert seconds_until_free(Room(1, 1), 1, 0.0, 1.0) is None
    assert seconds_until_free(Room(1, 1), 1, 1.0, 0.0) is None
    assert seconds_until_free(Room(2, 1), 1, 0.0, 0.0) == 0.0


@pytest.mark.parametrize(("until_free", "occupancy", "limit", "expected"), [(3.0, 99.0, 1, 3.0), (None, 8.0, 4, 2.0)])
def test_who_is_sent_away_is_told_when_slots_are_likely(
    until_free: float | None, occupancy: float, limit: int, expected: float
) -> None:
    assert ask_again_after(until_free, occupancy, limit) == expected


@given(st.none() | st.floats(0), st.floats(0), st.integers(0, 100))
def test_the_wait_is_never_absurd(until_free: float | None, occupancy: float, limit: int) -> None:
    assert SHORTEST_WAIT <= ask_again_after(until_free, occupancy, limit) <= LONGEST_WAIT


@given(st.floats(0.1, 1000), st.floats(0.1, 1000), st.integers(0, 50))
def test_the_average_moves_towards_what_was_seen(average: float, seconds: float, limit: int) -> None:
    moved = average_occupancy(average, seconds, limit)
    assert min(average, seconds) - 1e-6 <= moved <= max(average, seconds) + 1e-6
