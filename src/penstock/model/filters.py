"""Filters and queries as the API takes them: what to list, in which order, how much of it.

Within a filter all given parts must hold (`operator` "and_", the default) or any of them ("or_"). An empty part filters
nothing. Times are inclusive.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, model_validator

from penstock.model.base import Request
from penstock.model.deployments import DeploymentSort
from penstock.model.flow_runs import FlowRunSort
from penstock.model.flows import FlowSort
from penstock.model.logs import LogSort
from penstock.model.states import StateType
from penstock.model.task_runs import TaskRunSort

#: Most objects that one answer lists.
MAX_LIMIT = 200


class Operator(StrEnum):
    AND = "and_"
    OR = "or_"


class Filter(Request):
    operator: Operator = Operator.AND


class AnyId(Request):
    any_: list[UUID] | None = None


class AnyIdOrNot(Request):
    any_: list[UUID] | None = None
    not_any_: list[UUID] | None = None


class AnyIdOrNull(Filter):
    any_: list[UUID] | None = None
    is_null_: bool | None = None


class ParentId(Filter):
    any_: list[UUID] | None = None


class AnyText(Request):
    any_: list[str] | None = None


class AnyTextOrNot(Request):
    any_: list[str] | None = None
    not_any_: list[str] | None = None


class AnyTextOrNull(Filter):
    any_: list[str] | None = None
    is_null_: bool | None = None


class NameLike(Request):
    """`like_`: the name contains this, whatever the case."""

    any_: list[str] | None = None
    like_: str | None = None


class NameStarts(Request):
    any_: list[str] | None = None
    startswith_: list[str] | None = None


class Tags(Filter):
    """`all_`: it has all of these tags. `is_null_`: it has none at all, or (false) any."""

    all_: list[str] | None = None
    is_null_: bool | None = None


class IsNull(Filter):
    is_null_: bool | None = None


class Equals(Request):
    eq_: bool | None = None


class Exists(Request):
    exists_: bool | None = None


class Between(Request):
    before_: datetime | None = None
    after_: datetime | None = None


class BetweenOrNull(Between):
    is_null_: bool | None = None


class AnyStateType(Request):
    any_: list[StateType] | None = None


class StateIs(Filter):
    type: AnyStateType | None = None
    name: AnyText | None = None


class Level(Request):
    ge_: int | None = None
    le_: int | None = None


class FlowFilter(Filter):
    """`deployment.is_null_`: flows without any deployment, or (false) with one."""

    id: AnyId | None = None
    deployment: IsNull | None = None
    name: NameLike | None = None
    tags: Tags | None = None


class FlowRunFilter(Filter):
    id: AnyIdOrNot | None = None
    name: NameLike | None = None
    tags: Tags | None = None
    deployment_id: AnyIdOrNull | None = None
    work_queue_name: AnyTextOrNull | None = None
    state: StateIs | None = None
    flow_version: AnyText | None = None
    start_time: BetweenOrNull | None = None
    expected_start_time: Between | None = None
    next_scheduled_start_time: Between | None = None
    parent_flow_run_id: ParentId | None = None
    parent_task_run_id: AnyIdOrNull | None = None
    idempotency_key: AnyTextOrNot | None = None


class TaskRunFilter(Filter):
    id: AnyId | None = None
    name: NameLike | None = None
    tags: Tags | None = None
    state: StateIs | None = None
    start_time: BetweenOrNull | None = None
    subflow_runs: Exists | None = None
    flow_run_id: AnyIdOrNull | None = None


class DeploymentFilter(Filter):
    id: AnyId | None = None
    name: NameLike | None = None
    paused: Equals | None = None
    is_schedule_active: Equals | None = None
    tags: Tags | None = None
    work_queue_name: AnyText | None = None


class WorkPoolFilter(Filter):
    id: AnyId | None = None
    name: AnyText | None = None
    type: AnyText | None = None


class WorkQueueFilter(Filter):
    id: AnyId | None = None
    name: NameStarts | None = None


class LogFilter(Filter):
    level: Level | None = None
    timestamp: Between | None = None
    flow_run_id: AnyId | None = None
    task_run_id: AnyId | None = None


def or_default(default: Any) -> Any:
    """Clients send null for an order that they do not care about."""
    return BeforeValidator(lambda given: default if given is None else given)


class Page(Request):
    """`limit` objects after the first `offset`; or, which costs the same however far, those after `cursor`.

    The cursor of the next page is in the answer's header ``X-Next-Cursor``, which is absent on the last page.
    """

    limit: int | None = Field(default=None, ge=0, le=MAX_LIMIT)
    offset: Annotated[int, Field(ge=0), or_default(0)] = 0
    cursor: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_default(cls, value: Any) -> Any:
        """Clients of Prefect 2 send null where they have nothing to say."""
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None or key not in ("sort", "offset")}


class _Related(Request):
    """What fits all the filters that are given is meant."""

    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    deployments: DeploymentFilter | None = None


class _RelatedInPools(_Related):
    """`work_queues` is what some clients call `work_pool_queues`; both may be given."""

    work_pools: WorkPoolFilter | None = None
    work_pool_queues: WorkQueueFilter | None = None
    work_queues: WorkQueueFilter | None = None


class FlowCount(_RelatedInPools):
    pass


class FlowQuery(Page, FlowCount):
    sort: Annotated[FlowSort, or_default(FlowSort.NAME_ASC)] = FlowSort.NAME_ASC


class FlowRunCount(_RelatedInPools):
    pass


class FlowRunQuery(Page, FlowRunCount):
    sort: Annotated[FlowRunSort, or_default(FlowRunSort.ID_DESC)] = FlowRunSort.ID_DESC


class TaskRunCount(_Related):
    pass


class TaskRunQuery(Page, TaskRunCount):
    sort: Annotated[TaskRunSort, or_default(TaskRunSort.ID_DESC)] = TaskRunSort.ID_DESC


class DeploymentCount(_RelatedInPools):
    pass


class DeploymentQuery(Page, DeploymentCount):
    sort: Annotated[DeploymentSort, or_default(DeploymentSort.NAME_ASC)] = DeploymentSort.NAME_ASC


class LogQuery(Page):
    logs: LogFilter | None = None
    sort: Annotated[LogSort, or_default(LogSort.TIMESTAMP_ASC)] = LogSort.TIMESTAMP_ASC


class HistorySpan(Request):
    """A span of time cut into intervals: at most 500 of them."""

    history_start: datetime
    history_end: datetime
    history_interval_seconds: float = Field(ge=1)


class FlowRunHistoryQuery(HistorySpan, FlowRunCount):
    pass


class TaskRunHistoryQuery(HistorySpan, TaskRunCount):
    pass
