"""Artifacts: what a run leaves for people to look at.

Each function is to be awaited in asynchronous code; those that begin with an "a" always are. Inside of a run the artifact
belongs to it. Artifacts with equal keys are versions of one thing: the newest is what `Artifact.get` gives.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self
from uuid import UUID

from penstock.client import artifacts
from penstock.engine.context import FLOW_RUN, TASK_RUN
from penstock.errors import Invalid, NotFound
from penstock.model.artifacts import Artifact as Record
from penstock.model.artifacts import ArtifactCreate, ArtifactUpdate
from penstock.sdk.asking import ask, request
from penstock.sdk.sync_compatible import asynchronous, sync_compatible

#: A list of rows, each with its columns' names; columns by name; or rows without names.
Table = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | Sequence[Sequence[Any]]


class Artifact(Record):
    """An artifact as it was when it was read."""

    @classmethod
    @sync_compatible
    def get(cls, key: str) -> Self | None:
        """The newest artifact with that key, None if there is none."""
        return cls._get(key)

    @classmethod
    async def aget(cls, key: str) -> Self | None:
        """`get`, for asynchronous code."""
        return await asynchronous(cls._get)(key)

    @classmethod
    def _get(cls, key: str) -> Self | None:
        try:
            return cls.model_validate(ask(artifacts.read_latest_artifact(key)).model_dump())
        except NotFound:
            return None


@sync_compatible
def create_markdown_artifact(markdown: str, key: str | None = None, description: str | None = None) -> UUID:
    """Leave a text in Markdown. Returns the artifact's id.

    `key`: lowercase letters, digits and dashes; `description` may be Markdown, too. Raises Invalid for one that cannot be.
    """
    return _create("markdown", key, description, _text("markdown", markdown))


@sync_compatible
def create_table_artifact(table: Table, key: str | None = None, description: str | None = None) -> UUID:
    """Leave a table: a list of dictionaries, a dictionary of lists, or a list of lists. Returns the artifact's id.

    Values that JSON does not have become the nearest that it has: NaN null, times and everything else their text.
    """
    return _create("table", key, description, _table(table))


@sync_compatible
def create_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None
) -> UUID:
    """Leave a link, shown as `link_text`. Returns the artifact's id."""
    return _create("markdown", key, description, f"[{link_text or _text('link', link)}]({link})")


@sync_compatible
def create_image_artifact(image_url: str, key: str | None = None, description: str | None = None) -> UUID:
    """Leave an image, which whoever looks at it loads from `image_url`. Returns the artifact's id."""
    return _create("image", key, description, _text("image_url", image_url))


@sync_compatible
def create_progress_artifact(progress: float, key: str | None = None, description: str | None = None) -> UUID:
    """Leave a bar that shows `progress`, in percent. Returns the id, with which `update_progress_artifact` moves it."""
    return _create("progress", key, description, _percent(progress))


@sync_compatible
def update_progress_artifact(artifact_id: UUID, progress: float, description: str | None = None) -> UUID:
    """Move the bar of `create_progress_artifact` to `progress` percent. Returns the artifact's id. Raises NotFound."""
    change = ArtifactUpdate(data=_percent(progress))
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


def _create(kind: str, key: str | None, description: str | None, data: Any) -> UUID:
    task, run = TASK_RUN.get(), FLOW_RUN.get()
    asked = request(
        ArtifactCreate,
        key=key,
        type=kind,
        description=description,
        data=data,
        flow_run_id=None if run is None else run.flow_run.id,
        task_run_id=None if task is None else task.id,
    )
    return ask(artifacts.create_artifact(asked)).id


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{name} is {value!r}; it must be a text")
    return value


def _percent(progress: Any) -> float:
    if isinstance(progress, bool) or not isinstance(progress, int | float) or not 0 <= progress <= 100:
        raise Invalid(f"progress is {progress!r}; it is a number of percent, from 0 to 100")
    return float(progress)


def _table(table: Any) -> str:
    """`table` as JSON. Raises Invalid unless it has the shape of one."""
    import pydantic_core

    if isinstance(table, Mapping):
        columns = {name: _items(column, f"table[{name!r}]") for name, column in table.items()}
        lengths = {len(column) for column in columns.values()}
        if len(lengths) > 1:
            raise Invalid(f"The columns of the table have different lengths: {sorted(lengths)}")
        shaped: Any = columns
    else:
        shaped = [_row(row, number) for number, row in enumerate(_items(table, "table"))]
    return pydantic_core.to_json(shaped, inf_nan_mode="null", fallback=_plain).decode()


def _row(row: Any, number: int) -> Any:
    return dict(row) if isinstance(row, Mapping) else _items(row, f"table[{number}]")


def _items(value: Any, place: str) -> list[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise Invalid(
            f"{place} is {value!r:.80}, which is no list",
            hint="A table is a list of dictionaries, a dictionary of lists, or a list of lists.",
        )
    return list(value)


def _plain(value: Any) -> Any:
    """A value that JSON does not have, as one that it has. Numbers of other libraries tell theirs by `item`."""
    try:
        # what equals nothing, not even itself, stands for a missing value, as NaN does
        return value.item() if value == value else None
    except Exception:
        return str(value)
