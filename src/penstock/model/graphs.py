"""A flow run as a graph: its task runs and subflow runs, and whose results went where."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from penstock.model.base import Data
from penstock.model.states import State, StateType


class Upstream(Data):
    """A task run whose result is an input of another."""

    input_type: Literal["task_run"] = "task_run"
    id: UUID


class Dependency(Data):
    """A task run in the list of ``GET /flow_runs/{id}/graph``. Durations are seconds."""

    id: UUID
    name: str
    upstream_dependencies: list[Upstream] = Field(default_factory=list)
    state: State | None = None
    expected_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float | None = None
    estimated_run_time: float | None = None
    untrackable_result: bool = False


class GraphArtifact(Data):
    id: UUID
    created: datetime
    key: str | None = None
    type: str | None = None
    is_latest: bool


class GraphState(Data):
    id: UUID
    timestamp: datetime
    type: StateType
    name: str


class Edge(Data):
    """The other end: `id` of a node."""

    id: UUID


class Node(Data):
    """A task run, or a subflow run, which stands in the place of the task run that it has in the outer flow run."""

    kind: Literal["flow-run", "task-run"]
    id: UUID
    label: str
    state_type: StateType | None = None
    start_time: datetime
    end_time: datetime | None = None
    parents: list[Edge] = Field(default_factory=list)
    children: list[Edge] = Field(default_factory=list)
    artifacts: list[GraphArtifact] = Field(default_factory=list)


class Graph(Data):
    """The answer of ``GET /flow_runs/{id}/graph-v2``. `artifacts` are those of no task run, `states` the flow run's."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    root_node_ids: list[UUID] = Field(default_factory=list)
    nodes: list[tuple[UUID, Node]] = Field(default_factory=list)
    artifacts: list[GraphArtifact] = Field(default_factory=list)
    states: list[GraphState] = Field(default_factory=list)
