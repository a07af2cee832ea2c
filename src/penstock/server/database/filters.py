"""Filters as conditions in SQL. A part of a filter that is not given filters nothing."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from penstock.model import filters as f
from penstock.model.artifacts import ArtifactCollectionFilter, ArtifactCount, ArtifactFilter, LatestArtifactCount
from penstock.model.variables import VariableFilter
from penstock.server.database import tables as t
from penstock.server.database.tables import deployment, flow, flow_run, log, task_run, work_pool, work_queue

Condition = sa.ColumnElement[bool]
Column = sa.ColumnElement[Any]


class Conditions:
    """Turns filters into conditions for one database. `dialect` matters for lists in JSON only."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect

    # what a flow, a run … must be

    def flow(self, given: f.FlowFilter | None) -> list[Condition]:
        if given is None:
            return []
        found = _any(flow.c.id, given.id) + _name(flow.c.name, given.name) + self._tags(flow.c.tags, given.tags)
        if given.deployment is not None and given.deployment.is_null_ is not None:
            exists = sa.exists().where(deployment.c.flow_id == flow.c.id)
            found.append(~exists if given.deployment.is_null_ else exists)
        return _joined(given.operator, found)

    def flow_run(self, given: f.FlowRunFilter | None) -> list[Condition]:
        if given is None:
            return []
        c = flow_run.c
        found = [
            *_any_or_not(c.id, given.id),
            *_name(c.name, given.name),
            *self._tags(c.tags, given.tags),
            *_any_or_null(c.deployment_id, given.deployment_id),
            *_any_or_null(c.work_queue_name, given.work_queue_name),
            *_state(c.state_type, c.state_name, given.state),
            *_any(c.flow_version, given.flow_version),
            *_between(c.start_time, given.start_time),
            *_between(c.expected_start_time, given.expected_start_time),
            *_between(c.next_scheduled_start_time, given.next_scheduled_start_time),
            *_any_or_null(c.parent_task_run_id, given.parent_task_run_id),
            *_any_or_not(c.idempotency_key, given.idempotency_key),
        ]
        if given.parent_flow_run_id is not None and given.parent_flow_run_id.any_ is not None:
            parents = sa.select(task_run.c.id).where(task_run.c.flow_run_id.in_(given.parent_flow_run_id.any_))
            found.append(c.parent_task_run_id.in_(parents))
        return _joined(given.operator, found)

    def task_run(self, given: f.TaskRunFilter | None) -> list[Condition]:
        if given is None:
            return []
        c = task_run.c
        found = [
            *_any(c.id, given.id),
            *_name(c.name, given.name),
            *self._tags(c.tags, given.tags),
            *_state(c.state_type, c.state_name, given.state),
            *_between(c.start_time, given.start_time),
            *_any_or_null(c.flow_run_id, given.flow_run_id),
        ]
        if given.subflow_runs is not None and given.subflow_runs.exists_ is not None:
            exists = sa.exists().where(flow_run.c.parent_task_run_id == c.id)
            found.append(exists if given.subflow_runs.exists_ else ~exists)
        return _joined(given.operator, found)

    def deployment(self, given: f.DeploymentFilter | None) -> list[Condition]:
        if given is None:
            return []
        c = deployment.c
        found = [
            *_any(c.id, given.id),
            *_name(c.name, given.name),
            *_equals(c.paused, given.paused),
            *_equals(c.is_schedule_active, given.is_schedule_active),
            *self._tags(c.tags, given.tags),
            *_any(c.work_queue_name, given.work_queue_name),
        ]
        return _joined(given.operator, found)

    def work_pool(self, given: f.WorkPoolFilter | None) -> list[Condition]:
        if given is None:
            return []
        c = work_pool.c
        return _joined(given.operator, _any(c.id, given.id) + _any(c.name, given.name) + _any(c.type, given.type))

    def work_queue(self, given: f.WorkQueueFilter | None) -> list[Condition]:
        if given is None:
            return []
        found = _any(work_queue.c.id, given.id)
        if given.name is not None:
            found += _in(work_queue.c.name, given.name.any_)
            if given.name.startswith_ is not None:
                starts = [work_queue.c.name.startswith(prefix, autoescape=True) for prefix in given.name.startswith_]
                found.append(sa.or_(sa.false(), *starts))
        return _joined(given.operator, found)

    def log(self, given: f.LogFilter | None) -> list[Condition]:
        if given is None:
            return []
        found = _any(log.c.flow_run_id, given.flow_run_id) + _any(log.c.task_run_id, given.task_run_id)
        found += _between(log.c.timestamp, given.timestamp)
        if given.level is not None:
            found += [log.c.level >= given.level.ge_] if given.level.ge_ is not None else []
            found += [log.c.level <= given.level.le_] if given.level.le_ is not None else []
        return _joined(given.operator, found)

    def variable(self, given: VariableFilter | None) -> list[Condition]:
        if given is None:
            return []
        c = t.variable.c
        found = _any(c.id, given.id) + _name(c.name, given.name) + _name(c.value, given.value)
        return _joined(given.operator, found + self._tags(c.tags, given.tags))

    def artifact(self, given: ArtifactFilter | ArtifactCollectionFilter | None) -> list[Condition]:
        """The conditions on a newest artifact are those on any."""
        if given is None:
            return []
        c = t.artifact.c
        found = [
            *_any(c.id, given.id if isinstance(given, ArtifactFilter) else given.latest_id),
            *_name(c.key, given.key),
            *_any(c.flow_run_id, given.flow_run_id),
            *_any(c.task_run_id, given.task_run_id),
            *_any_or_not(c.type, given.type),
        ]
        if given.key is not None and given.key.exists_ is not None:
            found.append(c.key.is_not(None) if given.key.exists_ else c.key.is_(None))
        return _joined(given.operator, found)

    # the same across nouns: runs of such flows, flows with such runs …

    def flows(self, query: f.FlowCount) -> list[Condition]:
        runs = self._runs_of_others(query.task_runs, query.work_pools, _queues(query)) + self.flow_run(query.flow_runs)
        found = self.flow(query.flows)
        if runs:
            found.append(flow.c.id.in_(sa.select(flow_run.c.flow_id).where(*runs)))
        return found + _where_in(flow.c.id, deployment.c.flow_id, self.deployment(query.deployments))

    def flow_runs(self, query: f.FlowRunCount) -> list[Condition]:
        return [
            *self.flow_run(query.flow_runs),
            *_where_in(flow_run.c.flow_id, flow.c.id, self.flow(query.flows)),
            *_where_in(flow_run.c.deployment_id, deployment.c.id, self.deployment(query.deployments)),
            *self._runs_of_others(query.task_runs, query.work_pools, _queues(query)),
        ]

    def task_runs(self, query: f.TaskRunCount) -> list[Condition]:
        return self.task_run(query.task_runs) + _where_in(
            task_run.c.flow_run_id, flow_run.c.id, self._runs_around(query)
        )

    def artifacts(self, query: ArtifactCount | LatestArtifactCount) -> list[Condition]:
        return [
            *self.artifact(query.artifacts),
            *_where_in(t.artifact.c.flow_run_id, flow_run.c.id, self._runs_around(query)),
            *_where_in(t.artifact.c.task_run_id, task_run.c.id, self.task_run(query.task_runs)),
        ]

    def deployments(self, query: f.DeploymentCount) -> list[Condition]:
        runs = self.flow_run(query.flow_runs) + self._runs_of_others(query.task_runs, None, [])
        return [
            *self.deployment(query.deployments),
            *_where_in(deployment.c.flow_id, flow.c.id, self.flow(query.flows)),
            *_where_in(deployment.c.id, flow_run.c.deployment_id, runs),
            *self._in_queues(deployment.c.work_queue_id, query.work_pools, _queues(query)),
        ]

    def _runs_around(self, query: f.TaskRunCount | ArtifactCount | LatestArtifactCount) -> list[Condition]:
        return [
            *self.flow_run(query.flow_runs),
            *_where_in(flow_run.c.flow_id, flow.c.id, self.flow(query.flows)),
            *_where_in(flow_run.c.deployment_id, deployment.c.id, self.deployment(query.deployments)),
        ]

    def _runs_of_others(
        self, tasks: f.TaskRunFilter | None, pools: f.WorkPoolFilter | None, queues: list[f.WorkQueueFilter]
    ) -> list[Condition]:
        found = self._in_queues(flow_run.c.work_queue_id, pools, queues)
        of_tasks = self.task_run(tasks)
        if of_tasks:
            found.append(sa.exists().where(task_run.c.flow_run_id == flow_run.c.id, *of_tasks))
        return found

    def _in_queues(
        self, column: Column, pools: f.WorkPoolFilter | None, queues: list[f.WorkQueueFilter]
    ) -> list[Condition]:
        wanted = [condition for queue in queues for condition in self.work_queue(queue)]
        wanted += _where_in(work_queue.c.work_pool_id, work_pool.c.id, self.work_pool(pools))
        return _where_in(column, work_queue.c.id, wanted)

    def _tags(self, column: Column, given: f.Tags | None) -> list[Condition]:
        if given is None:
            return []
        found: list[Condition] = []
        if given.all_ is not None:
            found += [self._has_tag(column, tag) for tag in given.all_]
        if given.is_null_ is not None:
            length = sa.func.jsonb_array_length if self._dialect == "postgresql" else sa.func.json_array_length
            found.append(length(column) == 0 if given.is_null_ else length(column) > 0)
        return _joined(given.operator, found)

    def _has_tag(self, column: Column, tag: str) -> Condition:
        if self._dialect == "postgresql":
            return sa.cast(column, JSONB).op("@>", is_comparison=True)(sa.cast(sa.literal(json.dumps([tag])), JSONB))
        each = sa.func.json_each(column).table_valued("value")
        return sa.exists(sa.select(sa.literal(1)).select_from(each).where(each.c.value == tag))


def _queues(query: f.FlowCount | f.FlowRunCount | f.DeploymentCount) -> list[f.WorkQueueFilter]:
    return [given for given in (query.work_pool_queues, query.work_queues) if given is not None]


def _joined(operator: f.Operator, found: Sequence[Condition]) -> list[Condition]:
    if operator is f.Operator.OR and len(found) > 1:
        return [sa.or_(*found)]
    return list(found)


def _where_in(column: Column, key: Column, conditions: Sequence[Condition]) -> list[Condition]:
    return [column.in_(sa.select(key).where(*conditions))] if conditions else []


def _in(column: Column, values: Iterable[Any] | None) -> list[Condition]:
    if values is None:
        return []
    listed = list(values)
    # one value as an equation, so that an index serves the order of the list as well
    return [column == listed[0]] if len(listed) == 1 else [column.in_(listed)]


def _any(column: Column, given: f.AnyId | f.AnyText | None) -> list[Condition]:
    return _in(column, given.any_) if given is not None else []


def _any_or_not(column: Column, given: f.AnyIdOrNot | f.AnyTextOrNot | None) -> list[Condition]:
    if given is None:
        return []
    found = _in(column, given.any_)
    if given.not_any_ is not None:
        found.append(sa.or_(column.is_(None), column.not_in(given.not_any_)))
    return found


def _any_or_null(column: Column, given: f.AnyIdOrNull | f.AnyTextOrNull | None) -> list[Condition]:
    if given is None:
        return []
    found = _in(column, given.any_)
    if given.is_null_ is not None:
        found.append(column.is_(None) if given.is_null_ else column.is_not(None))
    return _joined(given.operator, found)


def _name(column: Column, given: f.NameLike | None) -> list[Condition]:
    if given is None:
        return []
    found = _in(column, given.any_)
    if given.like_ is not None:
        found.append(column.icontains(given.like_, autoescape=True))
    return found


def _equals(column: Column, given: f.Equals | None) -> list[Condition]:
    return [column.is_(given.eq_)] if given is not None and given.eq_ is not None else []


def _state(type_: Column, name: Column, given: f.StateIs | None) -> list[Condition]:
    if given is None:
        return []
    types = given.type.any_ if given.type is not None else None
    found = _in(type_, [kind.value for kind in types] if types is not None else None) + _any(name, given.name)
    return _joined(given.operator, found)


def _between(column: Column, given: f.Between | None) -> list[Condition]:
    if given is None:
        return []
    found: list[Condition] = []
    before: datetime | None = given.before_
    after: datetime | None = given.after_
    if before is not None:
        found.append(column <= before)
    if after is not None:
        found.append(column >= after)
    is_null = given.is_null_ if isinstance(given, f.BetweenOrNull) else None
    if is_null is not None:
        found.append(column.is_(None) if is_null else column.is_not(None))
    return found
