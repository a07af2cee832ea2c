import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.infrastructure.names import LIMIT, job_name, slug

VALID = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


@given(st.text(), st.uuids())
def test_a_name_is_valid_on_every_platform(title: str, attempt_id: UUID) -> None:
    name = job_name(title, attempt_id)
    assert VALID.fullmatch(name)
    assert len(name) <= LIMIT
    assert "--" not in name


@given(st.text(), st.text(), st.uuids(), st.uuids(), st.integers(34, 63))
def test_two_attempts_never_share_a_name(one: str, other: str, first: UUID, second: UUID, limit: int) -> None:
    assert (job_name(one, first, limit) == job_name(one, second, limit)) == (first == second)
    assert job_name(one, first, limit) == job_name(one, first, limit)
    if first != second:
        assert job_name(one, first, limit) != job_name(other, second, limit)


@given(st.text(), st.uuids(), st.integers(34, 63))
def test_a_name_keeps_to_a_shorter_limit_too(title: str, attempt_id: UUID, limit: int) -> None:
    assert len(job_name(title, attempt_id, limit)) <= limit


def test_a_name_can_be_read() -> None:
    attempt_id = UUID("12345678123456781234567812345678")
    assert job_name("Nachtlauf Zürich (täglich)", attempt_id) == f"nachtlauf-zurich-taglich-{attempt_id.hex}"
    assert job_name("2024 report", attempt_id) == f"report-{attempt_id.hex}"
    assert job_name("日本", attempt_id) == f"run-{attempt_id.hex}"


def test_a_limit_without_room_for_the_id_is_refused() -> None:
    with pytest.raises(ValueError, match="34"):
        job_name("x", UUID(int=0), 33)


@given(st.text(), st.integers(1, 63))
def test_a_slug_of_a_slug_is_the_same(text: str, limit: int) -> None:
    once = slug(text, limit)
    assert slug(once, limit) == once
