"""A flow run as a graph of its task runs: the list of Prefect 2.8, and the nodes and edges of 2.20."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Invalid
from penstock.model.graphs import Dependency, Graph, GraphArtifact, GraphState, Upstream
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import SELECT_TASK_RUN, task_run_from
from penstock.server.operations.read_flow_run import read_flow_run
from penstock.server.rules import graphs

#: Most nodes of one graph: nobody can look at more.
MOST_NODES = 10_000

_RUN, _TASK = t.flow_run.c, t.task_run.c


def read_dependencies(tx: Transaction, flow_run_id: UUID) -> list[Dependency]:
    """Every task run with those that it got results from. Raises NotFound, and Invalid if there are too many."""
    read_flow_run(tx, flow_run_id)
    statement = SELECT_TASK_RUN.where(_TASK.flow_run_id == flow_run_id).limit(MOST_NODES + 1)
    rows = tx.execute(statement).all()
    _refuse_too_many(len(rows))
    return [_dependency(row, tx.now) for row in rows]


def _dependency(row: sa.Row[Any], now: datetime) -> Dependency:
    run = task_run_from(row, now)
    return Dependency(
        **run.model_dump(include={"id", "name", "start_time", "end_time", "total_run_time", "estimated_run_time"}),
        expected_start_time=run.expected_start_time,
        state=run.state,
        upstream_dependencies=[Upstream(id=found) for found in graphs.upstream_ids(row.task_inputs)],
        untrackable_result=run.state is not None and run.state.state_details.untrackable_result,
    )


def read_flow_run_graph(tx: Transaction, flow_run_id: UUID, since: datetime | None = None) -> Graph:
    """The task runs and subflow runs that have started, as nodes; with `since` those that went on after that time.

    Raises NotFound, and Invalid if there are too many.
    """
    run = read_flow_run(tx, flow_run_id)
    alone, of_tasks = _artifacts(tx, flow_run_id)
    found = graphs.nodes(_places(tx, flow_run_id), of_tasks)
    if since is not None:
        found = [node for node in found if node.end_time is None or node.end_time >= since]
    _refuse_too_many(len(found))
    return Graph(
        start_time=run.start_time,
        end_time=run.end_time,
        root_node_ids=[node.id for node in found if not node.parents],
        nodes=[(node.id, node) for node in found],
        artifacts=alone,
        states=_states(tx, flow_run_id),
    )


def _places(tx: Transaction, flow_run_id: UUID) -> list[graphs.Place]:
    subflow = t.flow_run.alias("subflow")
    label = t.flow.c.name + " / " + subflow.c.name
    start_time = sa.func.coalesce(subflow.c.start_time, _TASK.start_time)
    statement = (
        sa.select(
            _TASK.id.label("task_run_id"),
            sa.func.coalesce(label, _TASK.name).label("label"),
            sa.func.coalesce(subflow.c.state_type, _TASK.state_type).label("state_type"),
            start_time.label("start_time"),
            sa.case((subflow.c.id.is_(None), _TASK.end_time), else_=subflow.c.end_time).label("end_time"),
            _TASK.task_inputs,
            subflow.c.id.label("subflow_run_id"),
        )
        .select_from(t.task_run)
        .outerjoin(subflow, subflow.c.parent_task_run_id == _TASK.id)
        .outerjoin(t.flow, t.flow.c.id == subflow.c.flow_id)
        .where(_TASK.flow_run_id == flow_run_id, start_time.is_not(None))
        .order_by(start_time, _TASK.id)
    )
    return [graphs.Place(**row._mapping) for row in tx.execute(statement)]


def _artifacts(tx: Transaction, flow_run_id: UUID) -> tuple[list[GraphArtifact], dict[UUID, list[GraphArtifact]]]:
    """The artifacts of no task run, and those of each."""
    c, latest = t.artifact.c, t.artifact_collection.c
    statement = (
        sa.select(c.id, c.created, c.key, c.type, c.task_run_id, latest.id.is_not(None).label("is_latest"))
        .outerjoin(t.artifact_collection, latest.latest_id == c.id)
        .where(c.flow_run_id == flow_run_id)
        .order_by(c.created, c.id)
        .limit(MOST_NODES)
    )
    alone: list[GraphArtifact] = []
    of_tasks: dict[UUID, list[GraphArtifact]] = {}
    for row in tx.execute(statement):
        place = alone if row.task_run_id is None else of_tasks.setdefault(row.task_run_id, [])
        place.append(GraphArtifact(**row._mapping))
    return alone, of_tasks


def _states(tx: Transaction, flow_run_id: UUID) -> list[GraphState]:
    c = t.flow_run_state.c
    statement = sa.select(c.id, c.timestamp, c.type, c.name).where(c.flow_run_id == flow_run_id)
    return [GraphState(**row._mapping) for row in tx.execute(statement.order_by(c.timestamp))]


def _refuse_too_many(count: int) -> None:
    if count > MOST_NODES:
        raise Invalid(
            f"The flow run has more than {MOST_NODES} task runs: too many for one graph.",
            code="too_many_nodes",
            hint="List them in pages: POST /task_runs/filter.",
            status=400,
        )
