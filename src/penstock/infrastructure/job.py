"""From a claim to a job: what every platform is told, before one of them is chosen. Pure."""

import dataclasses
from collections.abc import Mapping

from penstock.infrastructure.base import Job
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.names import job_name
from penstock.infrastructure.variables import API_URL, ATTEMPT_ID, ATTEMPT_TOKEN, FLOW_RUN_ID
from penstock.model.attempts import Claim
from penstock.version import __version__

#: Labels that begin so are Penstock's own.
OWN_LABELS = "penstock.io/"
#: Those that jobs are found by.
_FOUND_BY = tuple(f"{OWN_LABELS}{name}" for name in ("owner", "attempt-id", "flow-run-id"))


def build_job(claim: Claim, api_url: str, settings_for_job: Mapping[str, str], owner: str) -> Job:
    """The job of this claim's attempt.

    `settings_for_job` are the allow-listed settings, see `penstock.settings.for_jobs`; the agent's key is not among
    them, and the token of the attempt travels apart. `owner` says whose jobs these are: the sweep touches no others.
    The job's name is the attempt's, if it was written down before.
    """
    run, attempt = claim.flow_run, claim.attempt
    return Job(
        name=attempt.job_name or job_name(run.name, attempt.id),
        title=run.name,
        attempt_id=attempt.id,
        flow_run_id=run.id,
        owner=owner,
        env={**settings_for_job, API_URL: api_url, FLOW_RUN_ID: str(run.id), ATTEMPT_ID: str(attempt.id)},
        secret_env={ATTEMPT_TOKEN: claim.token},
        labels=_labels(claim, owner),
    )


def with_block(job: Job, block: Infrastructure) -> Job:
    """`job` with what the block says of command, environment, labels and name: the block wins.

    Doing it twice changes nothing. The variables that carry the attempt, and the labels that the job is found by, cannot be
    taken away by a block.
    """
    own = {name: value for name, value in job.env.items() if name in {FLOW_RUN_ID, ATTEMPT_ID}}
    marks = {key: value for key, value in job.labels.items() if key in _FOUND_BY}
    return dataclasses.replace(
        job,
        title=block.name or job.title,
        command=tuple(block.command or job.command),
        env={**job.env, **block.env, **own},
        labels={**job.labels, **block.labels, **marks},
    )


def _labels(claim: Claim, owner: str) -> dict[str, str]:
    run, deployment = claim.flow_run, claim.deployment
    labels = {
        "penstock.io/owner": owner,
        "penstock.io/attempt-id": str(claim.attempt.id),
        "penstock.io/flow-run-id": str(run.id),
        "penstock.io/flow-run-name": run.name,
        "penstock.io/flow-name": claim.flow.name,
        "penstock.io/version": __version__,
    }
    if deployment is not None:
        labels["penstock.io/deployment-name"] = deployment.name
        if deployment.updated is not None:
            labels["penstock.io/deployment-updated"] = deployment.updated.isoformat()
    return labels
