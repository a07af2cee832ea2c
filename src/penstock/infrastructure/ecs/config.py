"""The ECSTask block: what you want of a task of Amazon ECS."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from penstock.blocks.credentials.aws import AwsCredentials
from penstock.blocks.extras import holds_reference
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.choices import read_choice
from penstock.infrastructure.ecs import sizes
from penstock.infrastructure.ecs.definition import (
    DEFINITION,
    check_customizations,
    flow_container,
    read_definition,
)
from penstock.infrastructure.ecs.names import NAMED, check_name
from penstock.infrastructure.images import check_image, default_image
from penstock.infrastructure.patches import Patch
from penstock.infrastructure.platform_limits import with_platform_limits
from penstock.model.attempts import Limits
from penstock.model.base import JSONObject

_LAUNCH_TYPES = ("FARGATE", "EC2", "EXTERNAL", "FARGATE_SPOT")


class ECSTask(Infrastructure):
    """Runs the flow run as a task of Amazon ECS: on Fargate, on EC2 instances, or on machines of your own.

    The flow's code comes out of a storage or is part of the image; the API must be reachable from within the task.
    The task definition is made from these fields, or it is yours: in `task_definition`, or registered already under
    `task_definition_arn`.
    """

    _block_type_name: ClassVar[str | None] = "ECS Task"
    _block_type_slug: ClassVar[str | None] = "ecs-task"
    _override_schemas: ClassVar[Mapping[str, JSONObject]] = {"task_definition": DEFINITION}
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import AwsCredentials
        from penstock.infrastructure import ECSTask

        ECSTask(
            aws_credentials=AwsCredentials.load("CREDENTIALS_NAME"),
            cluster="flows",
            image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/flows:1",
            cpu=1024,
            memory=2048,
        ).save("BLOCK_NAME")
    """

    type: Literal["ecs-task"] = Field(default="ecs-task", description="The type of infrastructure.")
    env: dict[str, str | None] = Field(
        default_factory=dict,
        title="Environment Variables",
        description="Environment variables of the job. They win over all others; null removes a variable.",
    )
    aws_credentials: AwsCredentials = Field(
        default_factory=AwsCredentials,
        title="AWS Credentials",
        description="As whom the agent starts tasks. By default what AWS's library finds on the agent's machine.",
    )
    task_definition_arn: str | None = Field(
        default=None,
        description="A task definition that is registered: its ARN, or family:revision. Not together with "
        "task_definition.",
    )
    task_definition: dict[str, Any] | None = Field(
        default=None,
        description="A task definition in the shape of AWS's API, as mapping or its JSON or YAML text. The flow run's "
        "container is the one named penstock or prefect, else the first one.",
    )
    family: str | None = Field(
        default=None, description="Family that the task definition is registered under. By default made from the run."
    )
    image: str | None = Field(
        default=None,
        description="The image: [registry/]repository[:tag][@digest]. By default the task definition's, else "
        "Penstock's own, with the version and the Python that the block was made with.",
    )
    auto_deregister_task_definition: bool = Field(
        default=True, description="Whether task definitions that were registered for a run are deregistered afterwards."
    )
    cpu: int | None = Field(
        default=None,
        gt=0,
        title="CPU",
        description="CPU units of the task; 1024 are one vCPU. By default the task definition's, else 1024, or on "
        "Fargate the least that goes with memory.",
    )
    memory: int | None = Field(
        default=None,
        gt=0,
        description="MiB of memory of the task. By default the task definition's, else 2048, or on Fargate the least that "
        "goes with cpu.",
    )
    execution_role_arn: str | None = Field(
        default=None,
        title="Execution Role ARN",
        description="The role that ECS itself takes to fetch the image and to write logs.",
    )
    configure_cloudwatch_logs: bool | None = Field(
        default=None,
        description="Whether the container's output goes to CloudWatch Logs. Needs execution_role_arn. By default if "
        "stream_output is true.",
    )
    cloudwatch_logs_options: dict[str, str] = Field(
        default_factory=dict,
        description="Further options of the log driver awslogs, e.g. awslogs-stream-prefix. Needs "
        "configure_cloudwatch_logs.",
    )
    stream_output: bool | None = Field(
        default=None,
        description="Whether the agent shows the task's output in its own. It reads it from CloudWatch Logs.",
    )
    launch_type: Literal["FARGATE", "EC2", "EXTERNAL", "FARGATE_SPOT"] | None = Field(
        default="FARGATE", description="What the task runs on. Null: what the cluster's default strategy says."
    )
    vpc_id: str | None = Field(
        default=None,
        title="VPC ID",
        description="The VPC whose subnets the task is placed in. By default the account's default VPC.",
    )
    cluster: str | None = Field(default=None, description="The cluster: its name or ARN. By default `default`.")
    task_role_arn: str | None = Field(
        default=None, title="Task Role ARN", description="The role that the flow run itself has."
    )
    task_customizations: Patch = Field(
        default_factory=list,
        description="JSON patches (RFC 6902) that are applied to the RunTask request after all else: a list, or its "
        "JSON or YAML text.",
    )
    task_start_timeout_seconds: int = Field(
        default=120,
        gt=0,
        description="Seconds until the task must run; other than 120 it takes the place of start_timeout, where that is "
        "not set.",
    )
    task_watch_poll_interval: float = Field(
        default=5.0, gt=0, description="Most seconds between two looks at the task."
    )

    @field_validator("task_definition", mode="before")
    @classmethod
    def _read_definition(cls, value: Any) -> Any:
        return read_definition(value)

    @field_validator("launch_type", mode="before")
    @classmethod
    def _read_launch_type(cls, value: Any) -> Any:
        return read_choice(value, _LAUNCH_TYPES)

    @field_validator("image")
    @classmethod
    def _check_image(cls, value: str | None) -> str | None:
        return value if value is None or holds_reference(value) else check_image(value)

    @field_validator(*NAMED)
    @classmethod
    def _check_names(cls, value: str | None, info: Any) -> str | None:
        return value if value is None else check_name(value, info.field_name)

    @model_validator(mode="after")
    def _settle_definition(self) -> Self:
        if self.task_definition_arn is not None and self.task_definition is not None:
            raise ValueError(
                "task_definition and task_definition_arn are two task definitions: give the one that is registered, or "
                "the one that shall be."
            )
        if self.image is None and self.task_definition_arn is None:
            self.image = str(flow_container(self.task_definition).get("image") or default_image())
        return self

    @model_validator(mode="after")
    def _settle_logs(self) -> Self:
        if self.configure_cloudwatch_logs is None and self.stream_output:
            self.configure_cloudwatch_logs = True
        role = self.execution_role_arn or (self.task_definition or {}).get("executionRoleArn")
        if self.configure_cloudwatch_logs and not role and self.task_definition_arn is None:
            because = "stream_output" if self.stream_output else "configure_cloudwatch_logs"
            raise ValueError(f"{because} needs execution_role_arn: a role that may write to CloudWatch Logs.")
        if self.cloudwatch_logs_options and not self.configure_cloudwatch_logs:
            raise ValueError("cloudwatch_logs_options are of use only with configure_cloudwatch_logs.")
        return self

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.launch_type not in {"FARGATE", "FARGATE_SPOT"}:
            return self
        if self.task_definition_arn is not None and (self.cpu is None or self.memory is None):
            return self  # the other half is known to AWS alone
        definition = self.task_definition or {}
        cpu, memory = self.cpu or definition.get("cpu"), self.memory or definition.get("memory")
        sizes.fargate_size(sizes.amount(cpu), sizes.amount(memory))
        return self

    @model_validator(mode="after")
    def _check_customizations(self) -> Self:
        check_customizations(self.task_customizations)
        return self

    def limits(self) -> Limits:
        return with_platform_limits(super().limits(), self, start="task_start_timeout_seconds", run=None)
