"""Artifacts: what a run leaves for people to look at. Markdown, tables, links, images, progress."""

import re
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator

from penstock.model.base import Request, Stored
from penstock.model.filters import (
    AnyId,
    AnyTextOrNot,
    DeploymentFilter,
    Filter,
    FlowFilter,
    FlowRunFilter,
    NameLike,
    Page,
    TaskRunFilter,
    or_default,
)


def check_artifact_key(key: str) -> str:
    """Return `key`, or raise ValueError unless it is made of lowercase letters, digits and dashes."""
    if not re.fullmatch(r"[a-z0-9-]+", key):
        raise ValueError(f"{key!r} cannot be the key of an artifact: use lowercase letters, digits and dashes")
    return key


ArtifactKey = Annotated[str, AfterValidator(check_artifact_key)]


class ArtifactSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    ID_DESC = "ID_DESC"
    KEY_DESC = "KEY_DESC"
    KEY_ASC = "KEY_ASC"


class Artifact(Stored):
    """`data` is a text, or plain JSON: what it means depends on `type` ("markdown", "table", "progress" …).

    Artifacts with equal keys are versions of one thing.
    """

    key: str | None = None
    type: str | None = None
    description: str | None = None
    data: Any = None
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactCollection(Artifact):
    """A key, with its newest artifact. `id`, `created` and `updated` are those of the key."""

    key: str
    latest_id: UUID


class ArtifactCreate(Request):
    """`id`: chosen by the client, so that the request can be repeated."""

    id: UUID | None = None
    key: ArtifactKey | None = None
    type: str | None = None
    description: str | None = None
    data: Any = None
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactUpdate(Request):
    """Only fields that are given are changed."""

    data: Any = None
    description: str | None = None
    metadata_: dict[str, str] | None = None


class KeyLike(NameLike):
    """`exists_`: it has a key, or (false) none."""

    exists_: bool | None = None


class ArtifactFilter(Filter):
    id: AnyId | None = None
    key: KeyLike | None = None
    flow_run_id: AnyId | None = None
    task_run_id: AnyId | None = None
    type: AnyTextOrNot | None = None


class ArtifactCollectionFilter(Filter):
    latest_id: AnyId | None = None
    key: KeyLike | None = None
    flow_run_id: AnyId | None = None
    task_run_id: AnyId | None = None
    type: AnyTextOrNot | None = None


class _OfRuns(Request):
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    flows: FlowFilter | None = None
    deployments: DeploymentFilter | None = None


class ArtifactCount(_OfRuns):
    """Body of ``POST /artifacts/count``: artifacts that fit, of runs that fit."""

    artifacts: ArtifactFilter | None = None


class ArtifactQuery(Page, ArtifactCount):
    """Body of ``POST /artifacts/filter``."""

    sort: Annotated[ArtifactSort, or_default(ArtifactSort.ID_DESC)] = ArtifactSort.ID_DESC


class LatestArtifactCount(_OfRuns):
    """Body of ``POST /artifacts/latest/count``: keys whose newest artifact fits."""

    artifacts: ArtifactCollectionFilter | None = None


class LatestArtifactQuery(Page, LatestArtifactCount):
    """Body of ``POST /artifacts/latest/filter``."""

    sort: Annotated[ArtifactSort, or_default(ArtifactSort.ID_DESC)] = ArtifactSort.ID_DESC
