"""Calls about agents."""

from typing import TYPE_CHECKING

from penstock.client.call import Call, given

if TYPE_CHECKING:
    from penstock.model.agents import Agent


def read_agents(limit: int | None = None, offset: int = 0) -> "Call[list[Agent]]":
    """The agents that the server has heard of."""
    return Call("POST", "/agents/filter", _agents, body=given(limit=limit, offset=offset))


def _agents() -> "type[list[Agent]]":
    from penstock.model.agents import Agent

    return list[Agent]
