"""The graph of a flow run, from what its task runs say of their inputs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.model.graphs import Edge, GraphArtifact, Node
from penstock.model.states import StateType


@dataclass(frozen=True)
class Place:
    """What a node is made of: a task run, and the subflow run in its place, if there is one."""

    task_run_id: UUID
    label: str
    state_type: StateType | None
    start_time: datetime
    end_time: datetime | None
    task_inputs: Mapping[str, Sequence[Mapping[str, Any]]]
    subflow_run_id: UUID | None = None

    @property
    def node_id(self) -> UUID:
        return self.subflow_run_id or self.task_run_id


def upstream_ids(task_inputs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[UUID]:
    """The task runs whose results are inputs, each once, in their order."""
    found = (
        UUID(str(source["id"]))
        for sources in task_inputs.values()
        for source in sources
        if source.get("input_type") == "task_run" and source.get("id") is not None
    )
    return list(dict.fromkeys(found))


def nodes(places: Iterable[Place], artifacts: Mapping[UUID, list[GraphArtifact]]) -> list[Node]:
    """A node for each place, in order. `artifacts`: those of each task run."""
    listed = list(places)
    by_task_run = {place.task_run_id: place.node_id for place in listed}
    parents = {
        place.node_id: [by_task_run[found] for found in upstream_ids(place.task_inputs) if found in by_task_run]
        for place in listed
    }
    children: dict[UUID, list[UUID]] = {place.node_id: [] for place in listed}
    for child, its_parents in parents.items():
        for parent in its_parents:
            children[parent].append(child)
    return [
        Node(
            kind="task-run" if place.subflow_run_id is None else "flow-run",
            id=place.node_id,
            label=place.label,
            state_type=place.state_type,
            start_time=place.start_time,
            end_time=place.end_time,
            parents=[Edge(id=found) for found in parents[place.node_id]],
            children=[Edge(id=found) for found in children[place.node_id]],
            artifacts=artifacts.get(place.task_run_id, []),
        )
        for place in listed
    ]
