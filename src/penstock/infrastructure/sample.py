"""A job that stands for those to come: what is rendered before there is a run. Pure."""

from collections.abc import Mapping
from uuid import UUID

from penstock.infrastructure.base import Job
from penstock.infrastructure.job import build_job
from penstock.model.attempts import Attempt, AttemptStatus, Claim
from penstock.model.block_documents import MASK
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import FlowRun
from penstock.model.flows import Flow

#: In place of the ids of a run and of its attempt.
NO_ID = UUID(int=0)
RUN_NAME = "flow-run-name"
OWNER = "0" * 16


def sample_job(
    api_url: str,
    settings_for_job: Mapping[str, str],
    *,
    flow_name: str = "flow-name",
    deployment_name: str | None = None,
) -> Job:
    """The job of a claim that nobody has made: ids are zeros, the token is a mask."""
    claim = Claim(
        flow_run=FlowRun(id=NO_ID, name=RUN_NAME, flow_id=NO_ID),
        flow=Flow(id=NO_ID, name=flow_name),
        deployment=Deployment(id=NO_ID, name=deployment_name, flow_id=NO_ID) if deployment_name else None,
        attempt=Attempt(id=NO_ID, flow_run_id=NO_ID, number=1, status=AttemptStatus.CLAIMED),
        token=MASK,
    )
    return build_job(claim, api_url, settings_for_job, OWNER)
