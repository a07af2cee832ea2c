from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRun
from penstock.model.states import StateCreate, StateDetails, StateType
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.infrastructure_fields import schemas_of_infrastructure
from penstock.server.operations.deployment_values import queue_values, refuse_unknown_document
from penstock.server.operations.insert_flow_run import insert_flow_run
from penstock.server.operations.read_flow_run import read_flow_run
from penstock.server.rules.overrides import wrong_overrides
from penstock.server.rules.parameters import refuse_unfit_parameters, refuse_unknown_parameters

_DEFAULTS = (
    sa.select(t.deployment, t.work_pool.c.name.label("work_pool_name"))
    .outerjoin(t.work_queue, t.work_queue.c.id == t.deployment.c.work_queue_id)
    .outerjoin(t.work_pool, t.work_pool.c.id == t.work_queue.c.work_pool_id)
    .where(t.deployment.c.id == sa.bindparam("deployment_id"))
)


def create_flow_run_from_deployment(
    tx: Transaction, deployment_id: UUID, asked: DeploymentFlowRunCreate
) -> tuple[FlowRun, bool]:
    """A run of a deployment, with what the deployment says wherever `asked` says nothing; and whether it is new.

    Parameters of `asked` go over the deployment's own, tags are added to them; its job variables stay apart, to be laid
    over the deployment's at launch. An idempotency key that was used before finds its run. Without a state the run is
    scheduled for now.
    Raises NotFound, Conflict for an unknown block, Invalid for job variables that its infrastructure does not take, or
    ParameterError for parameters that the flow does not have or, if the deployment is strict, that do not fit.
    """
    row = _read_defaults(tx, deployment_id)
    parameters = {**row.parameters, **asked.parameters}
    strict = row.enforce_parameter_schema if asked.enforce_parameter_schema is None else asked.enforce_parameter_schema
    check = refuse_unfit_parameters if strict else refuse_unknown_parameters
    check(parameters, row.parameter_openapi_schema)
    values = {
        **asked.model_dump(include={"name", "context", "idempotency_key", "parent_task_run_id"}),
        "deployment_id": row.id,
        "deployment_version": row.version,
        "flow_id": row.flow_id,
        "infrastructure_document_id": asked.infrastructure_document_id or row.infrastructure_document_id,
        "work_queue_id": row.work_queue_id,
        "work_queue_name": row.work_queue_name,
        "parameters": parameters,
        "tags": list(dict.fromkeys([*row.tags, *asked.tags])),
        "empirical_policy": asked.empirical_policy.model_dump(mode="json"),
        "job_variables": asked.job_variables or {},
    }
    if asked.job_variables:
        schemas = schemas_of_infrastructure(tx, values["infrastructure_document_id"])
        for error in wrong_overrides(asked.job_variables, schemas, "job_variables").values():
            raise error
    if asked.infrastructure_document_id is not None:
        refuse_unknown_document(tx, asked.infrastructure_document_id, "infrastructure_document_id")
    if asked.work_queue_name is not None:
        values |= queue_values(tx, asked.work_queue_name, row.work_pool_name)
    run, created = insert_flow_run(tx, values, _first_state(tx, asked.state))
    return read_flow_run(tx, run.id), created


def _read_defaults(tx: Transaction, deployment_id: UUID) -> sa.Row[Any]:
    """The deployment's row and the name of its pool. Raises NotFound."""
    row = tx.execute(_DEFAULTS, {"deployment_id": deployment_id}).one_or_none()
    if row is None:
        raise NotFound(f"Deployment not found: {deployment_id}")
    return row


def _first_state(tx: Transaction, asked: StateCreate | None) -> StateCreate:
    """`asked`, or Scheduled; a scheduled state that names no time is due now."""
    state = asked or StateCreate(type=StateType.SCHEDULED)
    details = state.state_details or StateDetails()
    if state.type is StateType.SCHEDULED and details.scheduled_time is None:
        details = details.model_copy(update={"scheduled_time": tx.now})
    return state.model_copy(update={"state_details": details})
