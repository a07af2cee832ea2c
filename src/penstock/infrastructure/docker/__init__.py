"""Docker containers: what you want of one. The names are those that users of Prefect 2 import from here."""

from penstock.blocks.credentials.docker_registry import DockerRegistry
from penstock.infrastructure.docker.config import DockerContainer, ImagePullPolicy

__all__ = ["DockerContainer", "DockerRegistry", "ImagePullPolicy"]
