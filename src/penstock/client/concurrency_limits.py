"""Calls about limits of concurrency and their slots."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.client.call import Call, any_json, given, nothing, segment

if TYPE_CHECKING:
    from penstock.model.concurrency_limits import (
        ConcurrencyLimit,
        GlobalConcurrencyLimit,
        GlobalConcurrencyLimitCreate,
        GlobalConcurrencyLimitUpdate,
        MinimalConcurrencyLimit,
        SlotAnswer,
        SlotHolder,
        SlotRenewal,
        SlotRequest,
    )


def create_concurrency_limit(tag: str, concurrency_limit: int) -> "Call[ConcurrencyLimit]":
    """Limit how many task runs with `tag` run at once, or change that limit."""
    body = {"tag": tag, "concurrency_limit": concurrency_limit}
    return Call("POST", "/concurrency_limits/", _limit, body=body)


def read_concurrency_limit_by_tag(tag: str) -> "Call[ConcurrencyLimit]":
    return Call("GET", f"/concurrency_limits/tag/{segment(tag)}", _limit)


def read_concurrency_limits(limit: int | None = None, offset: int = 0) -> "Call[list[ConcurrencyLimit]]":
    """The newest first."""
    return Call("POST", "/concurrency_limits/filter", _limits, body=given(limit=limit, offset=offset))


def reset_concurrency_limit_by_tag(tag: str, slot_override: Iterable[UUID | str] | None = None) -> "Call[Any]":
    """Free the slots of the tag's limit; the task runs `slot_override` hold them from now on."""
    holders = None if slot_override is None else [str(holder) for holder in slot_override]
    body = given(slot_override=holders)
    return Call("POST", f"/concurrency_limits/tag/{segment(tag)}/reset", any_json, body=body)


def delete_concurrency_limit_by_tag(tag: str) -> "Call[Any]":
    return Call("DELETE", f"/concurrency_limits/tag/{segment(tag)}", any_json)


def create_global_concurrency_limit(
    concurrency_limit: "GlobalConcurrencyLimitCreate",
) -> "Call[GlobalConcurrencyLimit]":
    """Raises Conflict when sent if there is a limit of that name."""
    return Call("POST", "/v2/concurrency_limits/", _global_limit, body=concurrency_limit)


def read_global_concurrency_limit_by_name(name: str) -> "Call[GlobalConcurrencyLimit]":
    return Call("GET", f"/v2/concurrency_limits/{segment(name)}", _global_limit)


def read_global_concurrency_limits(limit: int | None = None, offset: int = 0) -> "Call[list[GlobalConcurrencyLimit]]":
    """In the order of their names."""
    return Call("POST", "/v2/concurrency_limits/filter", _global_limits, body=given(limit=limit, offset=offset))


def update_global_concurrency_limit(name: str, concurrency_limit: "GlobalConcurrencyLimitUpdate") -> Call[None]:
    """Change the fields that `concurrency_limit` sets."""
    path = f"/v2/concurrency_limits/{segment(name)}"
    return Call("PATCH", path, nothing, body=concurrency_limit, partial=True)


def delete_global_concurrency_limit_by_name(name: str) -> Call[None]:
    return Call("DELETE", f"/v2/concurrency_limits/{segment(name)}", nothing)


def increment_concurrency_slots(
    names: Sequence[str], slots: int, mode: str = "concurrency"
) -> "Call[list[MinimalConcurrencyLimit]]":
    """Take slots without a holder; nobody frees them but who calls `release_concurrency_slots`."""
    body = {"names": list(names), "slots": slots, "mode": mode}
    return Call("POST", "/v2/concurrency_limits/increment", _minimal, body=body, repeatable=False)


def release_concurrency_slots(
    names: Sequence[str], slots: int, occupancy_seconds: float | None = None
) -> "Call[list[MinimalConcurrencyLimit]]":
    """Give slots back that were taken without a holder."""
    body = given(names=list(names), slots=slots, occupancy_seconds=occupancy_seconds)
    return Call("POST", "/v2/concurrency_limits/decrement", _minimal, body=body, repeatable=False)


def read_limited_tags() -> "Call[list[str]]":
    """Every tag that has a limit."""
    return Call("GET", "/concurrency_slots/tags", _texts)


def read_slot_holders(limit_id: UUID | str) -> "Call[list[SlotHolder]]":
    """Who holds slots of the limit, of either kind."""
    return Call("GET", f"/concurrency_slots/holders/{segment(limit_id)}", _holders)


def acquire_slots(request: "SlotRequest") -> "Call[SlotAnswer]":
    """Ask for slots; who asks again for the same holder gets the same slots, or keeps its place in the line."""
    return Call("POST", "/concurrency_slots/acquire", _answer, body=request, patience=request.wait_seconds)


def renew_slots(holder_ids: Iterable[UUID]) -> "Call[SlotRenewal]":
    return Call("POST", "/concurrency_slots/renew", _renewal, body={"holder_ids": [str(i) for i in holder_ids]})


def release_slots(holder_ids: Iterable[UUID]) -> "Call[Any]":
    """Give back what these hold. They wait no longer, either."""
    return Call("POST", "/concurrency_slots/release", any_json, body={"holder_ids": [str(i) for i in holder_ids]})


def _texts() -> "type[list[str]]":
    return list


def _limit() -> "type[ConcurrencyLimit]":
    from penstock.model.concurrency_limits import ConcurrencyLimit

    return ConcurrencyLimit


def _limits() -> "type[list[ConcurrencyLimit]]":
    from penstock.model.concurrency_limits import ConcurrencyLimit

    return list[ConcurrencyLimit]


def _global_limit() -> "type[GlobalConcurrencyLimit]":
    from penstock.model.concurrency_limits import GlobalConcurrencyLimit

    return GlobalConcurrencyLimit


def _global_limits() -> "type[list[GlobalConcurrencyLimit]]":
    from penstock.model.concurrency_limits import GlobalConcurrencyLimit

    return list[GlobalConcurrencyLimit]


def _minimal() -> "type[list[MinimalConcurrencyLimit]]":
    from penstock.model.concurrency_limits import MinimalConcurrencyLimit

    return list[MinimalConcurrencyLimit]


def _answer() -> "type[SlotAnswer]":
    from penstock.model.concurrency_limits import SlotAnswer

    return SlotAnswer


def _renewal() -> "type[SlotRenewal]":
    from penstock.model.concurrency_limits import SlotRenewal

    return SlotRenewal


def _holders() -> "type[list[SlotHolder]]":
    from penstock.model.concurrency_limits import SlotHolder

    return list[SlotHolder]
