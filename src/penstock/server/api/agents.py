"""Agents ask for work, and people for agents."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, Response
from pydantic import Field

from penstock import clock, settings
from penstock.model.attempts import AgentOrders, AgentPoll
from penstock.model.base import Request as Body
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import TheDatabase
from penstock.server.database.connection import Database
from penstock.server.operations.claim_runs import claim_runs
from penstock.server.operations.look_for_orders import Look, Terms, look_for_orders
from penstock.server.operations.read_agents import read_agents

router = APIRouter(tags=["Agents"])

#: Seconds after which a waiting poll looks again by itself, where other servers may write to the same database.
LOOK_AGAIN = 1.0

#: Seconds after which a poll looks again that found a run and did not get it.
AFTER_A_MISS = 0.05


class AgentFilter(Body):
    limit: int = Field(default=200, ge=0, le=200)
    offset: int = Field(default=0, ge=0)


@router.post("/agents/filter")
async def filter_agents(database: TheDatabase, body: AgentFilter | None = None) -> Response:
    body = body or AgentFilter()
    return answer(await database.read(read_agents, body.limit, body.offset))


@router.post("/agents/poll", response_model=AgentOrders)
async def poll_for_orders(poll: AgentPoll, request: Request, database: TheDatabase) -> Response:
    """Answer at once if there is anything to say, else as soon as there is, at the latest after `wait_seconds`."""
    newest = _newest_polls(request)
    mine = newest[poll.agent_id] = uuid4()
    # whoever asks again has given the older poll up: nothing may be claimed for that one any more
    database.hub.publish({_topic(poll)})

    async def is_over() -> bool:
        return newest.get(poll.agent_id) != mine or await request.is_disconnected()

    try:
        return answer(await wait_for_orders(database, poll, is_over))
    finally:
        if newest.get(poll.agent_id) == mine:
            del newest[poll.agent_id]


def _newest_polls(request: Request) -> dict[UUID, UUID]:
    """By agent, which of its polls under way is the newest."""
    state = request.app.state
    if not hasattr(state, "newest_polls"):
        state.newest_polls = {}
    polls: dict[UUID, UUID] = state.newest_polls
    return polls


def _topic(poll: AgentPoll) -> str:
    return f"attempt-agent:{poll.agent_id}"


def terms_now(database: Database) -> Terms:
    """What holds for polls. A server that has just come up gives agents one full lease to come back."""
    lease = settings.get("PENSTOCK_AGENT_LEASE_SECONDS")
    return Terms(
        lease=lease,
        start_limit=settings.get("PENSTOCK_ATTEMPT_START_LIMIT"),
        judge_leases=clock.monotonic() - database.opened >= lease,
    )


async def wait_for_orders(database: Database, poll: AgentPoll, is_over: Callable[[], Awaitable[bool]]) -> AgentOrders:
    """The orders for `poll`; empty ones when its time is up, or when `is_over` says that nobody waits for them any
    more.

    A poll waits for a third of the lease at most, so that waiting itself keeps the lease.
    """
    terms = terms_now(database)
    deadline = clock.monotonic() + min(poll.wait_seconds, terms.lease / 3)
    orders = AgentOrders(lease_seconds=terms.lease, server_time=clock.now())
    look = await database.read(look_for_orders, poll, terms)
    if look.act and not await is_over():
        orders = await database.write(claim_runs, poll, terms)
    if has_news(orders) or clock.monotonic() >= deadline:
        return orders
    with database.hub.subscribe([_topic(poll), *look.topics]) as subscription:
        while True:
            terms = terms_now(database)
            look = await database.read(look_for_orders, poll, terms)
            if subscription.add(look.topics) and not look.act:
                continue  # what was seen may have changed before somebody listened
            if await is_over():
                return orders
            if look.act:
                orders = await database.write(claim_runs, poll, terms)
            left = deadline - clock.monotonic()
            if has_news(orders) or left <= 0:
                return orders
            await subscription.wait(_pause(database, look, left))
            if database.hub.closing:
                return orders


def has_news(orders: AgentOrders) -> bool:
    """Whether there is anything in the orders that an agent should hear of at once."""
    return bool(orders.claims or orders.cancel or orders.release)


def _pause(database: Database, look: Look, left: float) -> float:
    """Seconds until it is time to look again even if nothing wakes us."""
    if look.found:
        return AFTER_A_MISS  # somebody else was faster
    pause = left if database.is_sqlite else min(left, LOOK_AGAIN)
    if look.next_due is not None:
        pause = min(pause, (look.next_due - clock.now()).total_seconds())
    return max(pause, 0.001)
