"""Calls about work pools."""

from typing import TYPE_CHECKING, Any

from penstock.client.call import Call, given, nothing, segment

if TYPE_CHECKING:
    from penstock.model.work_pools import WorkPool, WorkPoolCreate, WorkPoolUpdate


def create_work_pool(work_pool: "WorkPoolCreate") -> "Call[WorkPool]":
    """Raises Conflict when sent if there is a pool of that name."""
    return Call("POST", "/work_pools/", _work_pool, body=work_pool)


def read_work_pool(name: str) -> "Call[WorkPool]":
    return Call("GET", f"/work_pools/{segment(name)}", _work_pool)


def read_work_pools(
    *, work_pool_filter: dict[str, Any] | None = None, limit: int | None = None, offset: int = 0
) -> "Call[list[WorkPool]]":
    body = given(work_pools=work_pool_filter, limit=limit, offset=offset)
    return Call("POST", "/work_pools/filter", _work_pools, body=body)


def update_work_pool(name: str, work_pool: "WorkPoolUpdate") -> Call[None]:
    """Change the fields that `work_pool` sets."""
    return Call("PATCH", f"/work_pools/{segment(name)}", nothing, body=work_pool, partial=True)


def delete_work_pool(name: str) -> Call[None]:
    return Call("DELETE", f"/work_pools/{segment(name)}", nothing)


def _work_pool() -> "type[WorkPool]":
    from penstock.model.work_pools import WorkPool

    return WorkPool


def _work_pools() -> "type[list[WorkPool]]":
    from penstock.model.work_pools import WorkPool

    return list[WorkPool]
