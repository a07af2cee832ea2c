"""Artifacts: what a run leaves for people to look at.

Functions and methods are to be awaited in asynchronous code; those that begin with an "a" always are. Inside of a run the
artifact belongs to it. Artifacts with equal keys are versions of one thing: the newest is what `Artifact.get` gives.
"""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from penstock.client import artifacts
from penstock.engine.context import FLOW_RUN, TASK_RUN
from penstock.errors import NotFound
from penstock.model.artifacts import Artifact as Record
from penstock.model.artifacts import ArtifactCreate, ArtifactKey, ArtifactUpdate
from penstock.sdk import tables
from penstock.sdk.asking import ask, request
from penstock.sdk.sync_compatible import asynchronous, sync_compatible
from penstock.sdk.tables import Table


class Artifact(BaseModel):
    """An artifact that is to be made, by `create`. `data` is text, or plain JSON: what it means depends on `type`."""

    model_config = ConfigDict(extra="forbid")

    type: str | None = None
    #: lowercase letters, digits and dashes
    key: ArtifactKey | None = None
    #: may be Markdown
    description: str | None = None
    data: Any = None
    metadata_: dict[str, str] | None = None

    def format(self) -> Any:
        """What is kept as the artifact's data."""
        return self.data

    @sync_compatible
    def create(self) -> Record:
        """Leave it. Returns it as the server keeps it, with its id."""
        return self._create()

    async def acreate(self) -> Record:
        """`create`, for asynchronous code."""
        return await asynchronous(self._create)()

    @classmethod
    @sync_compatible
    def get(cls, key: str) -> Record | None:
        """The newest artifact with that key, None if there is none."""
        return _newest(key)

    @classmethod
    async def aget(cls, key: str) -> Record | None:
        """`get`, for asynchronous code."""
        return await asynchronous(_newest)(key)

    @classmethod
    @sync_compatible
    def get_or_create(
        cls, key: str, description: str | None = None, data: Any = None, **fields: Any
    ) -> tuple[Record, bool]:
        """The newest artifact with that key, and whether it was made just now, because there was none."""
        found = _newest(key)
        if found is not None:
            return found, False
        if data is not None:
            fields["data"] = data
        return request(cls, key=key, description=description, **fields)._create(), True

    def _create(self) -> Record:
        run, task = FLOW_RUN.get(), TASK_RUN.get()
        asked = ArtifactCreate(
            key=self.key,
            type=self.type,
            description=self.description,
            data=self.format(),
            metadata_=self.metadata_,
            flow_run_id=None if run is None else run.flow_run.id,
            task_run_id=None if task is None else task.id,
        )
        return ask(artifacts.create_artifact(asked))


class MarkdownArtifact(Artifact):
    """A text in Markdown."""

    type: str | None = "markdown"
    markdown: str

    def format(self) -> str:
        return self.markdown


class TableArtifact(Artifact):
    """A list of dictionaries, a dictionary of lists, or a list of lists."""

    type: str | None = "table"
    table: Annotated[Any, BeforeValidator(tables.shaped)]

    def format(self) -> str:
        return tables.to_json(self.table)


class LinkArtifact(Artifact):
    """A link, shown as `link_text`."""

    type: str | None = "markdown"
    link: str
    link_text: str | None = None

    def format(self) -> str:
        return f"[{self.link_text or self.link}]({self.link})"


class ImageArtifact(Artifact):
    """An image, which whoever looks at it loads from `image_url`."""

    type: str | None = "image"
    image_url: str

    def format(self) -> str:
        return self.image_url


class ProgressArtifact(Artifact):
    """A bar that shows `progress`, in percent."""

    type: str | None = "progress"
    progress: float = Field(ge=0, le=100)

    def format(self) -> float:
        return self.progress


@sync_compatible
def create_markdown_artifact(markdown: str, key: str | None = None, description: str | None = None) -> UUID:
    """Leave a text in Markdown. Returns the artifact's id.

    `key`: lowercase letters, digits and dashes; `description` may be Markdown, too. Raises Invalid for one that cannot be.
    """
    return request(MarkdownArtifact, markdown=markdown, key=key, description=description)._create().id


@sync_compatible
def create_table_artifact(table: Table, key: str | None = None, description: str | None = None) -> UUID:
    """Leave a table: a list of dictionaries, a dictionary of lists, or a list of lists. Returns the artifact's id.

    Values that JSON does not have become the nearest that it has: NaN null, times and everything else their text.
    """
    return request(TableArtifact, table=table, key=key, description=description)._create().id


@sync_compatible
def create_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None
) -> UUID:
    """Leave a link, shown as `link_text`. Returns the artifact's id."""
    return request(LinkArtifact, link=link, link_text=link_text, key=key, description=description)._create().id


@sync_compatible
def create_image_artifact(image_url: str, key: str | None = None, description: str | None = None) -> UUID:
    """Leave an image, which whoever looks at it loads from `image_url`. Returns the artifact's id."""
    return request(ImageArtifact, image_url=image_url, key=key, description=description)._create().id


@sync_compatible
def create_progress_artifact(progress: float, key: str | None = None, description: str | None = None) -> UUID:
    """Leave a bar that shows `progress`, in percent. Returns the id, with which `update_progress_artifact` moves it."""
    return request(ProgressArtifact, progress=progress, key=key, description=description)._create().id


@sync_compatible
def update_progress_artifact(artifact_id: UUID, progress: float, description: str | None = None) -> UUID:
    """Move the bar of `create_progress_artifact` to `progress` percent. Returns the artifact's id. Raises NotFound."""
    change = ArtifactUpdate(data=request(ProgressArtifact, progress=progress).format())
    if description is not None:
        change.description = description
    ask(artifacts.update_artifact(artifact_id, change))
    return artifact_id


acreate_markdown_artifact = asynchronous(create_markdown_artifact)
acreate_table_artifact = asynchronous(create_table_artifact)
acreate_link_artifact = asynchronous(create_link_artifact)
acreate_image_artifact = asynchronous(create_image_artifact)
acreate_progress_artifact = asynchronous(create_progress_artifact)
aupdate_progress_artifact = asynchronous(update_progress_artifact)


def _newest(key: str) -> Record | None:
    try:
        return ask(artifacts.read_latest_artifact(key))
    except NotFound:
        return None
