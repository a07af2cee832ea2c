"""Of the agents that a server lists, those of runs that are over are told from all others."""

from typing import Any

import pytest

from penstock.cli.own_agent import has_left

OWN = {"name": "run-0123456789ab", "work_queues": ["run-0123456789ab"], "online": False, "draining": False, "open_attempts": 0}  # fmt: skip


@pytest.mark.parametrize("more", [{}, {"online": True, "draining": True}])
def test_an_agent_of_one_run_that_is_over_has_left(more: dict[str, Any]) -> None:
    assert has_left({**OWN, **more})


@pytest.mark.parametrize(
    "more",
    [
        {"online": True},
        {"open_attempts": 1},
        {"online": True, "draining": True, "open_attempts": 1},
        {"name": "run-warehouse-12", "work_queues": ["run-warehouse-12"]},
        {"work_queues": ["default"]},
        {"work_queues": []},
        {"name": "bob"},
    ],
)
def test_one_with_a_run_and_one_of_somebody_s_own_are_there(more: dict[str, Any]) -> None:
    assert not has_left({**OWN, **more})
