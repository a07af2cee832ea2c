"""The body of a proposed state."""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from penstock.model.states import State, StateCreate


def set_state_body(state: "StateCreate | State", force: bool) -> dict[str, Any]:
    """The body of ``POST …/set_state``. The state gets an id and a transition id if it has none."""
    proposed = state.model_dump(mode="json", exclude_none=True)
    proposed.setdefault("id", str(uuid4()))
    details = proposed.setdefault("state_details", {})
    details.setdefault("transition_id", proposed["id"])
    return {"state": proposed, "force": force}
