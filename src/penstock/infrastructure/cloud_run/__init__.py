"""Jobs of Google Cloud Run: what you want of one."""

from penstock.blocks.credentials.gcp import GcpCredentials
from penstock.infrastructure.cloud_run.config import CloudRunJob

__all__ = ["CloudRunJob", "GcpCredentials"]
