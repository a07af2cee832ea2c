from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from penstock.model.artifacts import (
    Artifact,
    ArtifactCollection,
    ArtifactCount,
    ArtifactCreate,
    ArtifactQuery,
    ArtifactUpdate,
    LatestArtifactCount,
    LatestArtifactQuery,
)
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.dependencies import TheAttempt, TheDatabase
from penstock.server.operations import read_artifacts
from penstock.server.operations.create_artifact import create_artifact
from penstock.server.operations.delete_artifact import delete_artifact
from penstock.server.operations.update_artifact import update_artifact

router = APIRouter(prefix="/artifacts", tags=["Artifacts"])
ArtifactId = Annotated[UUID, Path(alias="id")]


@router.post("/", response_model=Artifact, status_code=201)
async def create(body: ArtifactCreate, database: TheDatabase, attempt: TheAttempt) -> Response:
    return answer(await database.write(create_artifact, body, attempt=attempt), 201)


@router.post("/filter", response_model=list[Artifact])
async def read_many(database: TheDatabase, body: ArtifactQuery | None = None) -> Response:
    return page(*await database.read(read_artifacts.read_artifacts, body or ArtifactQuery()))


@router.post("/count", response_model=int)
async def count(database: TheDatabase, body: ArtifactCount | None = None) -> Response:
    return answer(await database.read(read_artifacts.count_artifacts, body or ArtifactCount()))


@router.post("/latest/filter", response_model=list[ArtifactCollection])
async def read_many_latest(database: TheDatabase, body: LatestArtifactQuery | None = None) -> Response:
    return page(*await database.read(read_artifacts.read_latest_artifacts, body or LatestArtifactQuery()))


@router.post("/latest/count", response_model=int)
async def count_latest(database: TheDatabase, body: LatestArtifactCount | None = None) -> Response:
    return answer(await database.read(read_artifacts.count_latest_artifacts, body or LatestArtifactCount()))


@router.get("/{key}/latest", response_model=Artifact)
async def read_latest(key: str, database: TheDatabase) -> Response:
    return answer(await database.read(read_artifacts.read_latest_artifact, key))


@router.get("/{id}", response_model=Artifact)
async def read(artifact_id: ArtifactId, database: TheDatabase) -> Response:
    return answer(await database.read(read_artifacts.read_artifact, artifact_id))


@router.patch("/{id}", status_code=204)
async def update(artifact_id: ArtifactId, body: ArtifactUpdate, database: TheDatabase, attempt: TheAttempt) -> Response:
    await database.write(update_artifact, artifact_id, body, attempt=attempt)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(artifact_id: ArtifactId, database: TheDatabase) -> Response:
    await database.write(delete_artifact, artifact_id)
    return no_content()
