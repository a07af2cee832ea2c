"""From an ECSTask block and a job to the exact requests that Amazon ECS gets. Pure.

    register     RegisterTaskDefinition; null if the block names a definition that is registered already
    run          RunTask; `register`'s definition stands as REGISTERED in it
    vpc_id       the VPC whose subnets are put into `run` before it is sent; null: the account's default VPC
    deregister   whether the definition is deregistered when the run is over
    connection   as whom, and where
    poll_seconds, stop_seconds   most seconds between two looks; seconds from the polite stop to the forced one

The definition holds nothing of one run, so that runs alike share one; variables and command go with `run`.
"""

import copy
from typing import Any

from penstock.infrastructure import containers, labels
from penstock.infrastructure.base import Job
from penstock.infrastructure.ecs import sizes
from penstock.infrastructure.ecs.config import ECSTask
from penstock.infrastructure.ecs.definition import CONTAINER_NAME, flow_container
from penstock.infrastructure.job import with_block
from penstock.infrastructure.names import slug
from penstock.infrastructure.patches import apply_patch
from penstock.model.base import JSONObject

#: In place of the ARN that registering gives, and of the subnets that AWS is asked for.
REGISTERED = "(the task definition above)"
SUBNETS = "(the subnets of the VPC)"
_FARGATE = ("FARGATE", "FARGATE_SPOT")
_FAMILY = "penstock"
_LOG_GROUP = "penstock"
_TAGS = 50
_STARTED_BY = 36


def render(config: ECSTask, job: Job) -> JSONObject:
    """The requests for `job`. Raises `Unsupported` if a customization does not fit."""
    merged = with_block(job, config)
    register = None if config.task_definition_arn is not None else _definition(config, merged)
    run = apply_patch(config.task_customizations, _run(config, merged, register), "task_customizations")
    return {
        "register": register,
        "run": run,
        "vpc_id": config.vpc_id,
        "deregister": config.auto_deregister_task_definition and register is not None,
        "connection": config.aws_credentials.model_dump(),
        "poll_seconds": config.task_watch_poll_interval,
        "stop_seconds": config.grace_seconds,
    }


def _definition(config: ECSTask, job: Job) -> JSONObject:
    found: JSONObject = copy.deepcopy(config.task_definition or {})
    found["family"] = config.family or found.get("family") or f"{_FAMILY}-{slug(job.title, 200)}".rstrip("-")
    given = found.get("containerDefinitions") or []
    container = flow_container(found)
    if not container:
        container = {"name": CONTAINER_NAME}
        given = [container]
    found["containerDefinitions"] = given
    container.update(image=config.image)
    container.setdefault("essential", True)
    if config.configure_cloudwatch_logs:
        container["logConfiguration"] = _logs(config)
    fargate = config.launch_type in _FARGATE
    cpu, memory = _size(config, found)
    found["cpu"], found["memory"] = str(cpu), str(memory)
    if fargate:
        found.setdefault("requiresCompatibilities", ["FARGATE"])
        found["networkMode"] = "awsvpc"
    for name, value in (("executionRoleArn", config.execution_role_arn), ("taskRoleArn", config.task_role_arn)):
        if value is not None:
            found[name] = value
    return found


def _size(config: ECSTask, definition: JSONObject) -> tuple[Any, Any]:
    """CPU and memory of the task: the block's, else the definition's, else what goes with the other, or the default."""
    cpu, memory = config.cpu or definition.get("cpu"), config.memory or definition.get("memory")
    if config.launch_type in _FARGATE:
        return sizes.fargate_size(sizes.amount(cpu), sizes.amount(memory))
    return cpu or sizes.DEFAULT_CPU, memory or sizes.DEFAULT_MEMORY


def _logs(config: ECSTask) -> JSONObject:
    options = {
        "awslogs-create-group": "true",
        "awslogs-group": _LOG_GROUP,
        "awslogs-region": config.aws_credentials.region_name or "(the region of the credentials)",
        "awslogs-stream-prefix": config.name or _LOG_GROUP,
    }
    return {"logDriver": "awslogs", "options": {**options, **config.cloudwatch_logs_options}}


def _run(config: ECSTask, job: Job, register: JSONObject | None) -> JSONObject:
    name = str(flow_container(register).get("name") or CONTAINER_NAME)
    variables: list[JSONObject] = [
        {"name": key, "value": value}
        for key, value in {**containers.variables_of(job), **containers.secrets_of(job)}.items()
    ]
    overrides: JSONObject = {
        "containerOverrides": [{"name": name, "command": containers.command_of(job), "environment": variables}]
    }
    if register is None:
        # a definition that is somebody else's is not changed, but run otherwise
        asked = {
            "cpu": config.cpu and str(config.cpu),
            "memory": config.memory and str(config.memory),
            "executionRoleArn": config.execution_role_arn,
        }
        overrides |= {key: value for key, value in asked.items() if value is not None}
    if config.task_role_arn is not None:
        overrides["taskRoleArn"] = config.task_role_arn
    tags = labels.for_aws({**job.labels, "penstock.io/job": job.name, "penstock.io/name": job.title})
    found: JSONObject = {
        "taskDefinition": config.task_definition_arn or REGISTERED,
        "count": 1,
        "clientToken": str(job.attempt_id),
        "startedBy": f"penstock-{job.owner}"[:_STARTED_BY],
        "overrides": overrides,
        "tags": [{"key": key, "value": value} for key, value in [*tags.items()][:_TAGS]],
    }
    if config.cluster is not None:
        found["cluster"] = config.cluster
    if config.launch_type == "FARGATE_SPOT":
        found["capacityProviderStrategy"] = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    elif config.launch_type is not None:
        found["launchType"] = config.launch_type
    if config.launch_type in _FARGATE or config.vpc_id is not None:
        subnets = {"subnets": [SUBNETS], "assignPublicIp": "ENABLED" if config.launch_type in _FARGATE else "DISABLED"}
        found["networkConfiguration"] = {"awsvpcConfiguration": subnets}
    return found
