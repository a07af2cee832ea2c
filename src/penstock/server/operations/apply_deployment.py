from typing import Any
from uuid import UUID

import pydantic_core
import sqlalchemy as sa

from penstock.errors import Invalid, NotFound, did_you_mean
from penstock.model.applying import ChangeKind, DeploymentApplied, DeploymentApply
from penstock.model.base import JSONObject, new_id
from penstock.model.deployments import Deployment, DeploymentScheduleCreate
from penstock.model.flows import FlowCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction, to_json
from penstock.server.database.inserts import insert_if_absent
from penstock.server.operations.applied_documents import (
    DeploymentBlock,
    block_changes,
    read_block,
    read_content,
    write_content,
)
from penstock.server.operations.create_flow import create_flow
from penstock.server.operations.deployment_values import (
    queue_values,
    refuse_unknown_document,
    refuse_wrong_overrides,
)
from penstock.server.operations.read_deployments import read_deployment
from penstock.server.operations.slot_topics import topic_of
from penstock.server.operations.write_deployment_schedules import (
    delete_schedule,
    insert_deployment_schedules,
    plan_anew,
    read_schedule_rows,
    refuse_unfit_schedules,
    write_schedule,
)
from penstock.server.rules.applying import BLOCKS, FIELDS, Merged, merge_fields, same, without_secrets
from penstock.server.rules.applying_schedules import MergedSchedules, merge_schedules
from penstock.server.rules.parameters import refuse_unfit_parameters

#: Other names of fields, in what is given and in `force`.
_ALIASES = {
    "schedule": "schedules",
    "job_variables": "infra_overrides",
    "paused": "is_schedule_active",
    "infrastructure_document_id": "infrastructure",
    "storage_document_id": "storage",
}
#: Of these null says nothing: every file that Prefect 2 writes has it there, and it must not set a paused schedule going.
_NULL_SAYS_NOTHING = frozenset({"is_schedule_active", "enforce_parameter_schema"})
#: Fields that a planned run has taken from its deployment.
_IN_PLANNED_RUNS = frozenset(
    {"version", "tags", "parameters", "work_queue_name", "work_pool_name", "infrastructure", "is_schedule_active"}
)


def apply_deployment(tx: Transaction, asked: DeploymentApply) -> DeploymentApplied:
    """Bring a deployment to what is asked, and keep what people have changed elsewhere since the last time.

    An unchanged deployment is not touched. With `dry_run` everything is done, and undone before the end.
    Raises NotFound for an unknown flow or pool, Conflict for an unknown block, Invalid and ParameterError for wrong values.
    """
    if not asked.dry_run:
        return _apply(tx, asked)
    topics = set(tx.topics)
    with tx.connection.begin_nested() as savepoint:
        applied = _apply(tx, asked)
        savepoint.rollback()
    tx.topics.clear()
    tx.topics.update(topics)
    return applied


def _apply(tx: Transaction, asked: DeploymentApply) -> DeploymentApplied:
    deployment_id, created = _ensure_deployment(tx, _flow_id(tx, asked), asked.name)
    deployment = read_deployment(tx, deployment_id)
    last = _last_applied(tx, deployment_id)
    forced = _forced(asked)
    live_blocks = {part: read_block(tx, getattr(deployment, f"{part}_document_id")) for part in BLOCKS}
    given_blocks, contents = _given_blocks(tx, asked, live_blocks)
    given = _given_values(asked) | {part: block.value for part, block in given_blocks.items()}
    live = _live_values(deployment, live_blocks)
    merged = merge_fields(given, last, live, forced)
    schedules = _merge_schedules(asked, last, deployment, "schedules" in forced, merged)
    _check_parameters({**live, **merged.values})
    columns = _columns(tx, {**live, **merged.values}, merged)
    for part in BLOCKS:
        if part in merged.values:
            columns[f"{part}_document_id"] = _write_block(
                tx, given_blocks[part], contents.get(part), live_blocks[part], deployment_id
            )
    _tell_blocks(merged, live_blocks, given_blocks, last)
    if created:
        for change in merged.changes:
            change.kind = ChangeKind.ADDED
    _write(tx, deployment, columns, merged, schedules, created)
    after = read_deployment(tx, deployment_id)
    if {"infra_overrides", "infrastructure"} & merged.values.keys():
        refuse_wrong_overrides(tx, after, deployment)
    remembered = {**last, **given}
    if schedules is not None:
        remembered["schedules"] = schedules.applied
    for part, block in given_blocks.items():
        remembered[f"{part}_shown"] = block.shown
    if not same(remembered, last):
        _remember(tx, deployment_id, remembered)
    return DeploymentApplied(
        deployment=after,
        is_new=created,
        dry_run=asked.dry_run,
        changes=[without_secrets(item) for item in merged.changes],
        kept=[without_secrets(item) for item in merged.kept],
    )


def _flow_id(tx: Transaction, asked: DeploymentApply) -> UUID:
    if asked.flow_name is not None:
        return create_flow(tx, FlowCreate(name=asked.flow_name))[0].id
    if tx.execute(sa.select(t.flow.c.id).where(t.flow.c.id == asked.flow_id)).one_or_none() is None:
        raise NotFound(f"Flow not found: {asked.flow_id}")
    assert asked.flow_id is not None
    return asked.flow_id


def _ensure_deployment(tx: Transaction, flow_id: UUID, name: str) -> tuple[UUID, bool]:
    """The id of the deployment, which nobody else changes until the end of the transaction, and whether it is new."""
    c = t.deployment.c
    mine = sa.select(c.id).where(c.flow_id == flow_id, c.name == name).with_for_update(key_share=True)
    found: UUID | None = tx.execute(mine).scalar_one_or_none()
    if found is not None:
        return found, False
    values = {key: default for key, (_, default) in FIELDS.items() if key in t.deployment.c}
    stamps = {"id": new_id(), "created": tx.now, "updated": tx.now, "paused": False}
    row = {**values, **stamps, "flow_id": flow_id, "name": name, **queue_values(tx, None, None)}
    created = insert_if_absent(tx, t.deployment, row)
    return tx.execute(mine).scalar_one(), created


def _forced(asked: DeploymentApply) -> frozenset[str]:
    known = {*FIELDS, "schedules"}
    if isinstance(asked.force, bool):
        return frozenset(known if asked.force else ())
    names = [_ALIASES.get(name, name) for name in asked.force]
    for name in names:
        if name not in known:
            raise Invalid(f"force: a deployment has no field {name!r}.{did_you_mean(name, known)}")
    return frozenset(names)


def _given_values(asked: DeploymentApply) -> JSONObject:
    """What is said, by the names of FIELDS but for the blocks, as plain JSON just as the database will give it back."""
    whole = asked.model_dump(exclude={"infrastructure", "storage", "schedule", "schedules"})
    said = {name: whole[name] for name in asked.model_fields_set if name in whole}
    given = {name: value for name, value in said.items() if name in FIELDS}
    if said.get("paused") is not None:
        given["is_schedule_active"] = not said["paused"]
    if "job_variables" in said and (said["job_variables"] is not None or "infra_overrides" not in said):
        given["infra_overrides"] = said["job_variables"]
    given = {name: value for name, value in given.items() if value is not None or name not in _NULL_SAYS_NOTHING}
    plain: JSONObject = pydantic_core.from_json(to_json(given))
    return plain


def _given_blocks(
    tx: Transaction, asked: DeploymentApply, live: dict[str, DeploymentBlock]
) -> tuple[dict[str, DeploymentBlock], dict[str, Any]]:
    """The blocks that are said, and the contents of those that are described."""
    found: dict[str, DeploymentBlock] = {}
    contents: dict[str, Any] = {}
    for part in BLOCKS:
        name = f"{part}_document_id"
        if not {part, name} & asked.model_fields_set:
            continue
        content, document_id = getattr(asked, part), getattr(asked, name)
        if content is not None:
            found[part], contents[part] = read_content(tx, content, live[part])
            continue
        if document_id is not None:
            refuse_unknown_document(tx, document_id, name)
        found[part] = read_block(tx, document_id)
    return found, contents


def _live_values(deployment: Deployment, blocks: dict[str, DeploymentBlock]) -> JSONObject:
    values = {name: getattr(deployment, name) for name in FIELDS if name not in BLOCKS}
    values["is_schedule_active"] = deployment.is_schedule_active and not deployment.paused
    for name in ("work_pool_name", "work_queue_name"):
        values[name] = values[name] or FIELDS[name][1]
    return {**values, **{part: block.value for part, block in blocks.items()}}


def _merge_schedules(
    asked: DeploymentApply, last: JSONObject, deployment: Deployment, force: bool, merged: Merged
) -> MergedSchedules | None:
    if not {"schedule", "schedules"} & asked.model_fields_set:
        return None
    known = set(DeploymentScheduleCreate.model_fields)
    live = [schedule.model_dump(mode="json", include={*known, "id"}) for schedule in deployment.schedules]
    said = asked.schedules or ([DeploymentScheduleCreate(schedule=asked.schedule)] if asked.schedule else [])
    given = [{"id": str(new_id()), **_said(schedule)} for schedule in said]
    clears = not given and ("schedule" in asked.model_fields_set or asked.schedules is None)
    last_said, told = last.get("schedules"), None if clears else given
    return merge_schedules(told, last_said, live, force, merged)


def _said(schedule: DeploymentScheduleCreate) -> JSONObject:
    whole = schedule.model_dump(mode="json")
    return {name: value for name, value in whole.items() if name in schedule.model_fields_set}


def _check_parameters(after: JSONObject) -> None:
    schema = after["parameter_openapi_schema"] if after["enforce_parameter_schema"] else None
    refuse_unfit_parameters(after["parameters"], schema, partial=True)


def _columns(tx: Transaction, after: JSONObject, merged: Merged) -> dict[str, Any]:
    """The columns of the deployment that change, but for those of its blocks."""
    columns = {name: value for name, value in merged.values.items() if name in t.deployment.c}
    if "is_schedule_active" in columns:
        columns["paused"] = not columns["is_schedule_active"]
    if {"work_queue_name", "work_pool_name"} & merged.values.keys():
        columns |= queue_values(tx, after["work_queue_name"], after["work_pool_name"])
    return columns


def _write_block(
    tx: Transaction, given: DeploymentBlock, content: Any, live: DeploymentBlock, deployment_id: UUID
) -> UUID | None:
    return given.document_id if content is None else write_content(tx, content, live, deployment_id)


def _tell_blocks(
    merged: Merged, live: dict[str, DeploymentBlock], given: dict[str, DeploymentBlock], last: JSONObject
) -> None:
    """Say of blocks what people can read instead of what is compared."""
    told = []
    for item in merged.changes:
        if item.field in given:
            part = item.field
            told += block_changes(part, live[part], given[part], item, last.get(f"{part}_shown"))
        else:
            told.append(item)
    merged.changes[:] = told
    for kept in merged.kept:
        if kept.field in given:
            kept.live, kept.given = live[kept.field].told, given[kept.field].told


def _write(
    tx: Transaction,
    deployment: Deployment,
    columns: dict[str, Any],
    merged: Merged,
    schedules: MergedSchedules | None,
    created: bool,
) -> None:
    mine = t.deployment.c.id == deployment.id
    if merged.values:
        tx.execute(t.deployment.update().where(mine).values(**columns, updated=tx.now))
    if schedules is not None and schedules.changes_anything:
        _write_schedules(tx, deployment.id, schedules)
        plan_anew(tx, deployment.id)
    elif merged.values.keys() & _IN_PLANNED_RUNS and not created:
        plan_anew(tx, deployment.id)
    if merged.values:
        tx.notify(topic_of(("deployment", deployment.id)))


def _write_schedules(tx: Transaction, deployment_id: UUID, schedules: MergedSchedules) -> None:
    for row in read_schedule_rows(tx, deployment_id):
        if str(row.id) in schedules.removed:
            delete_schedule(tx, row.id)
        elif str(row.id) in schedules.updated:
            write_schedule(tx, row, schedules.updated[str(row.id)])
    new = [{name: value for name, value in item.items() if name != "id"} for item in schedules.inserted]
    rows = insert_deployment_schedules(tx, deployment_id, [DeploymentScheduleCreate(**item) for item in new])
    refuse_unfit_schedules(tx, deployment_id)
    ids = {item["id"]: str(row.id) for item, row in zip(schedules.inserted, rows, strict=True)}
    schedules.applied = [{**item, "id": ids.get(item["id"], item["id"])} for item in schedules.applied]


def _last_applied(tx: Transaction, deployment_id: UUID) -> JSONObject:
    c = t.applied_deployment.c
    found: JSONObject | None = tx.execute(sa.select(c.fields).where(c.deployment_id == deployment_id)).scalar()
    return found or {}


def _remember(tx: Transaction, deployment_id: UUID, fields: JSONObject) -> None:
    values = {"fields": fields, "updated": tx.now}
    mine = t.applied_deployment.c.deployment_id == deployment_id
    if tx.execute(t.applied_deployment.update().where(mine).values(values)).rowcount == 0:
        tx.execute(t.applied_deployment.insert().values(deployment_id=deployment_id, **values))
