"""Calls about artifacts: what runs leave for people to look at."""

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from penstock.client.call import Call, given, nothing, segment, whole_number

if TYPE_CHECKING:
    from penstock.model.artifacts import Artifact, ArtifactCollection, ArtifactCreate, ArtifactUpdate


def create_artifact(artifact: "ArtifactCreate") -> "Call[Artifact]":
    """It carries an id, so that the server knows it again when it is repeated."""
    body = artifact if artifact.id is not None else artifact.model_copy(update={"id": uuid4()})
    return Call("POST", "/artifacts/", _artifact, body=body)


def read_artifact(artifact_id: UUID) -> "Call[Artifact]":
    return Call("GET", f"/artifacts/{segment(artifact_id)}", _artifact)


def read_latest_artifact(key: str) -> "Call[Artifact]":
    """The newest artifact with that key. Raises NotFound when sent."""
    return Call("GET", f"/artifacts/{segment(key)}/latest", _artifact)


def read_artifacts(
    *,
    artifact_filter: dict[str, Any] | None = None,
    flow_run_filter: dict[str, Any] | None = None,
    task_run_filter: dict[str, Any] | None = None,
    sort: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[Artifact]]":
    """Artifacts that fit all filters, which have the shapes of the API. `sort` is an `ArtifactSort`."""
    filters = _filters(artifact_filter, flow_run_filter, task_run_filter)
    body = given(**filters, sort=sort, limit=limit, offset=offset)
    return Call("POST", "/artifacts/filter", _artifacts, body=body)


def count_artifacts(
    *,
    artifact_filter: dict[str, Any] | None = None,
    flow_run_filter: dict[str, Any] | None = None,
    task_run_filter: dict[str, Any] | None = None,
) -> Call[int]:
    filters = _filters(artifact_filter, flow_run_filter, task_run_filter)
    return Call("POST", "/artifacts/count", whole_number, body=given(**filters))


def read_latest_artifacts(
    *,
    artifact_filter: dict[str, Any] | None = None,
    flow_run_filter: dict[str, Any] | None = None,
    task_run_filter: dict[str, Any] | None = None,
    sort: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[ArtifactCollection]]":
    """Keys whose newest artifact fits all filters, with that artifact. `sort` is an `ArtifactSort`."""
    filters = _filters(artifact_filter, flow_run_filter, task_run_filter)
    body = given(**filters, sort=sort, limit=limit, offset=offset)
    return Call("POST", "/artifacts/latest/filter", _collections, body=body)


def update_artifact(artifact_id: UUID, artifact: "ArtifactUpdate") -> Call[None]:
    """Change the fields that `artifact` sets."""
    return Call("PATCH", f"/artifacts/{segment(artifact_id)}", nothing, body=artifact, partial=True)


def delete_artifact(artifact_id: UUID) -> Call[None]:
    return Call("DELETE", f"/artifacts/{segment(artifact_id)}", nothing)


def _filters(
    artifacts: dict[str, Any] | None, flow_runs: dict[str, Any] | None, task_runs: dict[str, Any] | None
) -> dict[str, Any]:
    return {"artifacts": artifacts, "flow_runs": flow_runs, "task_runs": task_runs}


def _artifact() -> "type[Artifact]":
    from penstock.model.artifacts import Artifact

    return Artifact


def _artifacts() -> "type[list[Artifact]]":
    from penstock.model.artifacts import Artifact

    return list[Artifact]


def _collections() -> "type[list[ArtifactCollection]]":
    from penstock.model.artifacts import ArtifactCollection

    return list[ArtifactCollection]
