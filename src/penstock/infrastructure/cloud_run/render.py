"""From a CloudRunJob block and a job to the exact requests that Google Cloud Run gets, in its API v2. Pure.

create       jobs.create: parent, jobId and the job; then jobs.run of that name
remove       whether the job is deleted when the run is over
connection   as whom
"""

import math
from typing import Any

from penstock.infrastructure import containers, labels
from penstock.infrastructure.base import Job
from penstock.infrastructure.cloud_run.config import CloudRunJob
from penstock.infrastructure.job import with_block
from penstock.model.base import JSONObject

#: In place of the project that Google's library finds where the agent runs.
PROJECT = "(the project of the credentials)"
#: Without a limit of one's own Cloud Run ends a task after ten minutes; this is the longest that it knows.
_LONGEST_SECONDS = 7 * 24 * 3600


def render(config: CloudRunJob, job: Job) -> JSONObject:
    """The requests for `job`."""
    merged = with_block(job, config)
    project = config.credentials.project or PROJECT
    task: JSONObject = {
        "containers": [_container(config, merged)],
        # whether a run is started again is decided by whoever knows what it did
        "maxRetries": 0,
        "timeout": f"{math.ceil(config.limits().run or _LONGEST_SECONDS)}s",
    }
    if config.vpc_connector_name is not None:
        task["vpcAccess"] = {"connector": _connector(config, project)}
    return {
        "create": {
            "parent": f"projects/{project}/locations/{config.region}",
            "jobId": merged.name,
            "job": {
                "labels": labels.for_google(merged.labels),
                "annotations": {"penstock.io/name": merged.title},
                "template": {"taskCount": 1, "parallelism": 1, "template": task},
            },
        },
        "remove": not config.keep_job,
        "connection": config.credentials.model_dump(),
    }


def _container(config: CloudRunJob, job: Job) -> JSONObject:
    variables: dict[str, Any] = {**containers.variables_of(job), **containers.secrets_of(job)}
    container: JSONObject = {
        "image": config.image,
        # like the image's own entry point would get it: a command of Cloud Run's would take the place of that
        "args": [*containers.command_of(job), *(config.args or [])],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
    }
    limits = {"cpu": None if config.cpu is None else str(config.cpu), "memory": config.memory_string}
    if any(value is not None for value in limits.values()):
        container["resources"] = {"limits": {name: value for name, value in limits.items() if value is not None}}
    return container


def _connector(config: CloudRunJob, project: str) -> str:
    name = str(config.vpc_connector_name)
    return name if "/" in name else f"projects/{project}/locations/{config.region}/connectors/{name}"
