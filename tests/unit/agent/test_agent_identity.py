"""An agent's id survives its restarts; two agents of one name never share one."""

from pathlib import Path
from uuid import uuid4

from penstock.agent import identity


def test_an_agent_that_is_started_again_has_the_id_it_had(tmp_path: Path) -> None:
    first = identity.acquire(tmp_path, "a")
    first.remember_reach("process:here", "process")
    first.release()
    again = identity.acquire(tmp_path, "a")
    assert (again.id, again.reaches) == (first.id, ["process:here"])
    again.release()


def test_two_agents_of_one_name_that_live_at_once_have_different_ids(tmp_path: Path) -> None:
    first, second = identity.acquire(tmp_path, "a"), identity.acquire(tmp_path, "a")
    assert first.id != second.id
    first.release()
    again = identity.acquire(tmp_path, "a")
    assert again.id == first.id
    again.release()
    second.release()


def test_a_name_that_is_no_file_name_is_as_good_as_any(tmp_path: Path) -> None:
    one = identity.acquire(tmp_path, "../up / down\0")
    assert one.path.parent == tmp_path / "agents"
    one.release()


def test_a_state_file_that_cannot_be_read_costs_the_id_and_nothing_else(tmp_path: Path) -> None:
    first = identity.acquire(tmp_path, "a")
    first.release()
    first.path.write_text('{"id": "torn')
    again = identity.acquire(tmp_path, "a")
    assert again.id != first.id
    again.release()
    third = identity.acquire(tmp_path, "a")
    assert third.id == again.id
    third.release()


def test_a_launch_that_never_came_to_an_end_is_remembered_over_restarts(tmp_path: Path) -> None:
    attempt = uuid4()
    for deaths in range(3):
        agent = identity.acquire(tmp_path, "a")
        assert agent.launches(attempt) == deaths
        agent.launch_begins(attempt)
        agent.release()
    agent = identity.acquire(tmp_path, "a")
    agent.launch_ends(attempt)
    assert agent.launches(attempt) == 0
    agent.release()
