"""What belongs to a run where it is launched and where it executes: its flow, deployment, infrastructure, storage."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import ConfigurationError
from penstock.model.attempts import InfrastructureDocument
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import FlowRun
from penstock.model.flows import Flow
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import SELECT_FLOW_RUN, flow_run_from
from penstock.server.database.statements import read_row
from penstock.server.database.tables import deployment, flow, flow_run, work_pool, work_queue
from penstock.server.operations.read_infrastructure_document import resolve_document

_FLOW_RUNS = SELECT_FLOW_RUN.where(flow_run.c.id.in_(sa.bindparam("ids", expanding=True)))
_DEPLOYMENT = (
    sa.select(deployment, deployment.c.infra_overrides.label("job_variables"), work_pool.c.name.label("work_pool_name"))
    .select_from(
        deployment.outerjoin(work_queue, work_queue.c.id == deployment.c.work_queue_id).outerjoin(
            work_pool, work_pool.c.id == work_queue.c.work_pool_id
        )
    )
    .where(deployment.c.id == sa.bindparam("deployment_id"))
)


class Surroundings:
    """Reads within one transaction, each thing once: a burst of runs has few flows, deployments and documents."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._flows: dict[UUID, Flow] = {}
        self._deployments: dict[UUID, Deployment | None] = {}
        self._documents: dict[UUID, InfrastructureDocument | None] = {}

    def flow_runs(self, ids: Collection[UUID]) -> dict[UUID, FlowRun]:
        """The runs with their states, as they are now."""
        rows = self._tx.execute(_FLOW_RUNS, {"ids": list(ids)})
        return {row.id: flow_run_from(row, self._tx.now) for row in rows}

    def flow(self, flow_id: UUID) -> Flow:
        if flow_id not in self._flows:
            row = read_row(self._tx, flow, flow_id)
            assert row is not None, "a flow takes its runs along"
            self._flows[flow_id] = Flow.model_validate(row._mapping)
        return self._flows[flow_id]

    def deployment(self, deployment_id: UUID | None) -> Deployment | None:
        """The deployment without its schedules; None if there is none (any more)."""
        if deployment_id is None:
            return None
        if deployment_id not in self._deployments:
            row = self._tx.execute(_DEPLOYMENT, {"deployment_id": deployment_id}).one_or_none()
            self._deployments[deployment_id] = Deployment.model_validate(row._mapping) if row is not None else None
        return self._deployments[deployment_id]

    def document(self, document_id: UUID | None, what: str) -> InfrastructureDocument | None:
        """The saved block with its secrets in clear. Raises ConfigurationError if it was deleted; `what` names its
        part."""
        if document_id is None:
            return None
        if document_id not in self._documents:
            self._documents[document_id] = resolve_document(self._tx, document_id)
        found = self._documents[document_id]
        if found is None:
            raise ConfigurationError(
                f"The {what} block {document_id} of this run does not exist any more",
                hint=f"Give the deployment another {what} block and apply it again.",
            )
        return found
