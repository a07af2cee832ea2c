"""Manifests of Penstock itself on Kubernetes: a server, a database, an agent. Pure: objects in the order in which they are
applied."""

from penstock.infrastructure.kubernetes.installation.agent import AgentOptions, agent_objects
from penstock.infrastructure.kubernetes.installation.objects import to_yaml
from penstock.infrastructure.kubernetes.installation.server import ServerOptions, server_objects

__all__ = ["AgentOptions", "ServerOptions", "agent_objects", "server_objects", "to_yaml"]
