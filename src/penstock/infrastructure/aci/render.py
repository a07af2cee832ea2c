"""From an AzureContainerInstanceJob block and a job to the exact request that Azure Container Instances gets. Pure.

create       the container group: where it is made, its name, and its description as Azure's API has it
connection   as whom, and in which subscription
poll_seconds, stop_seconds   most seconds between two looks; seconds from the polite stop to the forced one
"""

from typing import Any

from penstock.blocks.credentials.docker_registry import DockerRegistry
from penstock.infrastructure import containers, labels
from penstock.infrastructure.aci.config import AzureContainerInstanceJob
from penstock.infrastructure.base import Job
from penstock.infrastructure.images import default_image
from penstock.infrastructure.job import with_block
from penstock.model.base import JSONObject

#: In place of the region, which is that of the resource group.
LOCATION = "(the resource group's)"


def render(config: AzureContainerInstanceJob, job: Job) -> JSONObject:
    """The request for `job`."""
    merged = with_block(job, config)
    properties: JSONObject = {
        "osType": "Linux",
        # whether a run is started again is decided by whoever knows what it did
        "restartPolicy": "Never",
        "containers": [{"name": merged.name, "properties": _container(config, merged)}],
    }
    if config.image_registry is not None:
        properties["imageRegistryCredentials"] = [_registry(config)]
    if config.subnet_ids:
        properties["subnetIds"] = [{"id": subnet} for subnet in config.subnet_ids]
    if config.dns_servers:
        properties["dnsConfig"] = {"nameServers": config.dns_servers}
    group: JSONObject = {
        "location": LOCATION,
        "tags": labels.for_azure({**merged.labels, "penstock.io/name": merged.title}),
        "properties": properties,
    }
    identities = [*(config.identities or []), *_identity_of_registry(config)]
    if identities:
        group["identity"] = {
            "type": "UserAssigned",
            "userAssignedIdentities": {identity: {} for identity in dict.fromkeys(identities)},
        }
    return {
        "create": {
            "resourceGroup": config.resource_group_name,
            "containerGroupName": merged.name,
            "containerGroup": group,
        },
        "connection": {**config.aci_credentials.model_dump(), "subscription_id": config.subscription_id},
        "poll_seconds": config.task_watch_poll_interval,
        "stop_seconds": config.grace_seconds,
    }


def _container(config: AzureContainerInstanceJob, job: Job) -> JSONObject:
    resources: JSONObject = {"cpu": config.cpu, "memoryInGB": config.memory}
    if config.gpu_count is not None:
        resources["gpu"] = {"count": config.gpu_count, "sku": config.gpu_sku}
    variables: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in containers.variables_of(job).items()
    ]
    variables += [{"name": name, "secureValue": value} for name, value in containers.secrets_of(job).items()]
    return {
        "image": config.image or default_image(),
        "command": [*([config.entrypoint] if config.entrypoint else []), *containers.command_of(job)],
        "environmentVariables": variables,
        "resources": {"requests": resources},
    }


def _registry(config: AzureContainerInstanceJob) -> JSONObject:
    registry = config.image_registry
    assert registry is not None
    if isinstance(registry, DockerRegistry):
        return {"server": registry.registry_url, "username": registry.username, "password": registry.password}
    return {"server": registry.registry_url, "identity": registry.identity}


def _identity_of_registry(config: AzureContainerInstanceJob) -> list[str]:
    """The identity that pulls the image: the group has to have it."""
    registry = config.image_registry
    return [] if registry is None or isinstance(registry, DockerRegistry) else [registry.identity]
