"""A task definition as you give it: a mapping in the shape of AWS's RegisterTaskDefinition. Pure."""

from collections.abc import Mapping
from typing import Any

from penstock.errors import nearest
from penstock.model.base import JSONObject

CONTAINER_NAME = "penstock"
#: Names that the flow run's container may have in a task definition; otherwise it is the first one.
_CONTAINER_NAMES = (CONTAINER_NAME, "prefect")

#: Members of the requests as AWS documents them. They grow: what looks like none of them is left to AWS to judge.
_DEFINITION = (
    "family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes", "placementConstraints",
    "requiresCompatibilities", "cpu", "memory", "tags", "pidMode", "ipcMode", "proxyConfiguration", "inferenceAccelerators",
    "ephemeralStorage", "runtimePlatform", "enableFaultInjection",
    # what describing a task definition tells besides
    "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy",
    "deregisteredAt",
)  # fmt: skip
_CONTAINER = (
    "name", "image", "repositoryCredentials", "cpu", "memory", "memoryReservation", "links", "portMappings",
    "essential", "restartPolicy", "entryPoint", "command", "environment", "environmentFiles", "mountPoints",
    "volumesFrom", "linuxParameters", "secrets", "dependsOn", "startTimeout", "stopTimeout", "versionConsistency",
    "hostname", "user", "workingDirectory", "disableNetworking", "privileged", "readonlyRootFilesystem",
    "dnsServers", "dnsSearchDomains", "extraHosts", "dockerSecurityOptions", "interactive", "pseudoTerminal",
    "dockerLabels", "ulimits", "logConfiguration", "healthCheck", "systemControls", "resourceRequirements",
    "firelensConfiguration", "credentialSpecs",
)  # fmt: skip
_RUN_TASK = (
    "capacityProviderStrategy", "cluster", "count", "enableECSManagedTags", "enableExecuteCommand", "group", "launchType",
    "networkConfiguration", "overrides", "placementConstraints", "placementStrategy", "platformVersion", "propagateTags",
    "referenceId", "startedBy", "tags", "taskDefinition", "clientToken", "volumeConfigurations",
)  # fmt: skip

_TEXTS: JSONObject = {"type": "object", "additionalProperties": {"type": "string"}}
#: A task definition, in the shape of a JSON schema: its parts, and those of its containers.
DEFINITION: JSONObject = {
    "type": "object",
    "properties": {
        **{name: {} for name in _DEFINITION},
        "containerDefinitions": {
            "type": "array",
            "items": {"type": "object", "properties": {**{name: {} for name in _CONTAINER}, "dockerLabels": _TEXTS}},
        },
    },
}


def read_definition(value: Any) -> JSONObject | None:
    """A task definition from a mapping or its JSON or YAML text. Raises ValueError that names what is wrong in it."""
    if isinstance(value, str):
        value = _parse(value)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"a task definition is a mapping, not {type(value).__name__}.")
    definition = dict(value)
    for name in definition:
        _refuse_slip(str(name), _DEFINITION)
    containers = definition.get("containerDefinitions")
    if containers is not None:
        if not isinstance(containers, list) or not all(isinstance(container, Mapping) for container in containers):
            raise ValueError("containerDefinitions is a list of mappings, one for each container.")
        if any(not container.get("name") for container in containers):
            raise ValueError("each of containerDefinitions needs a name.")
    return definition


def flow_container(definition: JSONObject | None) -> JSONObject:
    """The container that runs the flow: the one named penstock or prefect, else the first one; empty if there is none."""
    containers: list[JSONObject] = (definition or {}).get("containerDefinitions") or []
    for name in _CONTAINER_NAMES:
        for container in containers:
            if container.get("name") == name:
                return container
    return containers[0] if containers else {}


def check_customizations(patch: list[JSONObject]) -> None:
    """Raise ValueError if an operation is about a member of RunTask that there is not, and another is meant."""
    for index, operation in enumerate(patch):
        for pointer in (operation["path"], operation.get("from", "")):
            member = pointer.removeprefix("/").partition("/")[0]
            if member:
                _refuse_slip(member, _RUN_TASK, f"task_customizations[{index}]: ")


def _refuse_slip(name: str, known: tuple[str, ...], place: str = "") -> None:
    if name in known:
        return
    near = nearest(name.lower(), [member.lower() for member in known])
    if near is not None:
        meant = next(member for member in known if member.lower() == near)
        raise ValueError(f"{place}there is no {name!r}. Did you mean {meant!r}?")


def _parse(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is neither JSON nor YAML: {error}") from None
