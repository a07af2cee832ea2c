"""List and count flow runs."""

import sqlalchemy as sa

from penstock.model.filters import FlowRunCount, FlowRunQuery
from penstock.model.flow_runs import FlowRun, FlowRunSort
from penstock.model.states import StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Conditions
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.database.rows import SELECT_FLOW_RUN, flow_runs_from
from penstock.server.database.tables import counter, flow_run
from penstock.server.operations.record_flow_run_state import COUNTER

_C = flow_run.c
ORDERS = {
    FlowRunSort.ID_DESC: Order(_C.id, descending=True),
    FlowRunSort.START_TIME_ASC: Order(_C.id, _C.start_time, nullable=True),
    FlowRunSort.START_TIME_DESC: Order(_C.id, _C.start_time, descending=True, nullable=True),
    FlowRunSort.EXPECTED_START_TIME_ASC: Order(_C.id, _C.expected_start_time),
    FlowRunSort.EXPECTED_START_TIME_DESC: Order(_C.id, _C.expected_start_time, descending=True),
    FlowRunSort.NAME_ASC: Order(_C.id, _C.name),
    FlowRunSort.NAME_DESC: Order(_C.id, _C.name, descending=True),
    FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC: Order(_C.id, _C.next_scheduled_start_time, nullable=True),
    FlowRunSort.END_TIME_DESC: Order(_C.id, _C.end_time, descending=True, nullable=True),
}


def read_flow_runs(tx: Transaction, query: FlowRunQuery) -> tuple[list[FlowRun], str | None]:
    """A page of runs, and the cursor of the next page if there may be one."""
    statement = SELECT_FLOW_RUN.where(*Conditions(tx.dialect).flow_runs(query))
    cut = Cut(query.sort.value, query.limit, query.offset, query.cursor)
    page = read_page(tx, statement, ORDERS[query.sort], cut)
    return flow_runs_from(page.rows, tx.now), page.next_cursor


def count_flow_runs(tx: Transaction, query: FlowRunCount) -> int:
    """How many runs there are. By state type, or all of them: read from the counters."""
    kinds = _only_state_types(query)
    if kinds is not None:
        names = [COUNTER.format(kind.value) for kind in kinds]
        return int(
            tx.execute(
                sa.select(sa.func.coalesce(sa.func.sum(counter.c.value), 0)).where(counter.c.name.in_(names))
            ).scalar_one()
        )
    statement = sa.select(sa.func.count()).select_from(flow_run).where(*Conditions(tx.dialect).flow_runs(query))
    return int(tx.execute(statement).scalar_one())


def _only_state_types(query: FlowRunCount) -> set[StateType] | None:
    """The state types asked for, if the query asks for nothing but these."""
    given = query.model_dump(exclude_none=True, exclude_unset=True)
    state = given.get("flow_runs", {}).get("state", {})
    if set(given) == {"flow_runs"} and set(given["flow_runs"]) == {"state"} and set(state) == {"type"}:
        return set(state["type"]["any_"]) if "any_" in state["type"] else None
    return None
