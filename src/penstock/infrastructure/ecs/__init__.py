"""Tasks of Amazon ECS: what you want of one."""

from penstock.blocks.credentials.aws import AwsCredentials
from penstock.infrastructure.ecs.config import ECSTask

__all__ = ["AwsCredentials", "ECSTask"]
