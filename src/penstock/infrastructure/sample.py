"""A job that stands for those to come: what is rendered before there is a run. Pure."""

from collections.abc import Mapping
from uuid import UUID

from penstock.infrastructure.base import Job
from penstock.infrastructure.names import job_name
from penstock.infrastructure.variables import API_URL, ATTEMPT_ID, ATTEMPT_TOKEN, FLOW_RUN_ID
from penstock.model.block_documents import MASK
from penstock.version import __version__

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
    owner: str = OWNER,
) -> Job:
    """A job as `penstock.infrastructure.job.build_job` makes it, with placeholders for what only a run has."""
    labels = {
        "penstock.io/owner": owner,
        "penstock.io/attempt-id": str(NO_ID),
        "penstock.io/flow-run-id": str(NO_ID),
        "penstock.io/flow-run-name": RUN_NAME,
        "penstock.io/flow-name": flow_name,
        "penstock.io/version": __version__,
    }
    if deployment_name is not None:
        labels["penstock.io/deployment-name"] = deployment_name
    return Job(
        name=job_name(RUN_NAME, NO_ID),
        title=RUN_NAME,
        attempt_id=NO_ID,
        flow_run_id=NO_ID,
        owner=owner,
        env={**settings_for_job, API_URL: api_url, FLOW_RUN_ID: str(NO_ID), ATTEMPT_ID: str(NO_ID)},
        secret_env={ATTEMPT_TOKEN: MASK},
        labels=labels,
    )
