"""A database with a pool, a queue and a flow, and short words for what agents and engines say to it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from penstock import clock
from penstock.model.attempts import (
    AgentOrders,
    AgentPoll,
    AttemptReport,
    Exit,
    Intent,
    Limits,
    Observation,
    Presentation,
)
from penstock.model.flows import FlowCreate
from penstock.model.states import StateCreate, StateDetails, StateType
from penstock.model.work_pools import DEFAULT_POOL, WorkPoolCreate
from penstock.model.work_queues import WorkQueueCreate
from penstock.server import keys
from penstock.server.database import tables as t
from penstock.server.database.connection import Database, Transaction
from penstock.server.operations.apply_attempt_reports import apply_attempt_reports
from penstock.server.operations.claim_runs import claim_runs
from penstock.server.operations.create_flow import create_flow
from penstock.server.operations.create_work_pool import create_work_pool
from penstock.server.operations.create_work_queue import create_work_queue
from penstock.server.operations.enforce_limits import Patience, enforce_limits, find_overdue
from penstock.server.operations.insert_flow_run import insert_flow_run
from penstock.server.operations.look_for_orders import Terms
from penstock.server.operations.present_attempt import present_attempt
from penstock.server.operations.set_flow_run_state import set_flow_run_state
from penstock.server.operations.write_intent import write_intent


class Held:
    """The clock of the server, held still: `now` is what it says until somebody moves it."""

    def __init__(self) -> None:
        self.now = clock.now()

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class World:
    """Runs operations, each in its own transaction, at the time that the clock says."""

    def __init__(self, database: Database, time: Held) -> None:
        self.database, self.time = database, time
        self.terms = Terms(lease=15, start_limit=600)
        self.patience = Patience(lost_seconds=120)
        self.write(create_work_pool, WorkPoolCreate(name=DEFAULT_POOL))
        self.flow_id = self.write(create_flow, FlowCreate(name="flow"))[0].id
        self.queue_id = self.queue("q")

    def write(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.database.submit_write(operation, *args, **kwargs).result(60)

    def queue(self, name: str, pool: str | None = None, **values: Any) -> UUID:
        created: UUID = self.write(create_work_queue, WorkQueueCreate(name=name, **values), pool).id
        return created

    def run(self, queue_id: UUID | None = None, due: float = 0.0, **values: Any) -> UUID:
        """A scheduled run, due `due` seconds from now."""
        state = StateCreate(
            type=StateType.SCHEDULED,
            state_details=StateDetails(scheduled_time=self.time.now + timedelta(seconds=due)),
        )
        row = {"flow_id": self.flow_id, "work_queue_id": queue_id or self.queue_id, **values}
        created: UUID = self.write(insert_flow_run, row, state)[0].id
        return created

    def ask(self, agent_id: UUID | None = None, **values: Any) -> AgentPoll:
        values = {"request_id": uuid4(), "name": "agent", "work_queues": ["q"], "reaches": ["here"], **values}
        return AgentPoll(agent_id=agent_id or uuid4(), **values)

    def poll(self, agent_id: UUID | None = None, **values: Any) -> AgentOrders:
        orders: AgentOrders = self.write(claim_runs, self.ask(agent_id, **values), self.terms)
        return orders

    def write_claims(self, poll: AgentPoll) -> AgentOrders:
        orders: AgentOrders = self.write(claim_runs, poll, self.terms)
        return orders

    def clear(self) -> None:
        """Forget all runs."""
        self.write(lambda tx: tx.execute(sa.delete(t.flow_run)))

    def intend(self, attempt_id: UUID, agent_id: UUID, **values: Any) -> Any:
        values = {"reach": "here", "infrastructure_type": "process", "job_name": f"job-{attempt_id.hex}", **values}
        return self.write(write_intent, attempt_id, Intent(agent_id=agent_id, **values))

    def present(self, attempt_id: UUID, instance_id: UUID | None = None, token: str | None = None) -> Any:
        shown = token if token is not None else keys.attempt_token(attempt_id)
        return self.write(present_attempt, attempt_id, Presentation(token=shown, instance_id=instance_id or uuid4()))

    def report(self, attempt_id: UUID, agent_id: UUID, **values: Any) -> Any:
        report = AttemptReport(attempt_id=attempt_id, agent_id=agent_id, **values)
        return self.write(apply_attempt_reports, [report])[0]

    def seen(self, status: Any, **values: Any) -> Observation:
        return Observation(status=status, observed_at=self.time.now, **values)

    def ended(self, **values: Any) -> Observation:
        return self.seen("ENDED", exit=Exit(**values))

    def propose(self, run_id: UUID, kind: StateType, **values: Any) -> Any:
        force = values.pop("force", False)
        attempt = values.pop("attempt", None)
        return self.write(set_flow_run_state, run_id, StateCreate(type=kind, **values), force=force, attempt=attempt)

    def started(self, run_id: UUID, agent_id: UUID, limits: Limits | None = None) -> UUID:
        """Bring a due run to the point at which its user code runs. Returns its attempt."""
        claims = {claim.flow_run.id: claim for claim in self.poll(agent_id, capacity=100).claims}
        attempt_id = claims[run_id].attempt.id
        self.intend(attempt_id, agent_id, **({"limits": limits} if limits else {}))
        self.report(attempt_id, agent_id, handle={"type": "process", "version": 1, "data": {}})
        self.present(attempt_id)
        self.propose(run_id, StateType.RUNNING, attempt=(attempt_id, keys.attempt_token(attempt_id)))
        return attempt_id

    def judge(self, after: float = 0.0) -> int:
        """Let `after` seconds pass and the server judge limits and leases."""
        self.time.forward(after)
        overdue = self.write(find_overdue, self.patience)
        acted: int = self.write(enforce_limits, overdue, self.patience)
        return acted

    def one(self, table: sa.Table, row_id: UUID) -> Any:
        return self.write(lambda tx: tx.execute(sa.select(table).where(table.c.id == row_id)).one())

    def run_row(self, run_id: UUID) -> Any:
        return self.one(t.flow_run, run_id)

    def attempt(self, attempt_id: UUID) -> Any:
        return self.one(t.attempt, attempt_id)

    def state(self, run_id: UUID) -> Any:
        """The row of the run's state now."""
        return self.one(t.flow_run_state, self.run_row(run_id).state_id)

    def attempts(self, run_id: UUID) -> list[Any]:
        query = sa.select(t.attempt).where(t.attempt.c.flow_run_id == run_id).order_by(t.attempt.c.number)
        return list(self.write(lambda tx: tx.execute(query).all()))

    def change(self, table: sa.Table, row_id: UUID, **values: Any) -> None:
        def update(tx: Transaction) -> None:
            tx.execute(sa.update(table).where(table.c.id == row_id).values(values))

        self.write(update)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    time = Held()
    monkeypatch.setattr(clock, "now", lambda: time.now)
    return time


@pytest.fixture
def world(database: Database, held: Held) -> World:
    return World(database, held)
