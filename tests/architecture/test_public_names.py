"""The public face is what is listed, and all of it resolves."""

from importlib import import_module

import pytest

import penstock


@pytest.mark.parametrize("name", [name for name in penstock.__all__ if name != "__version__"])
def test_every_public_name_resolves(name: str):
    assert getattr(penstock, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="flwo"):
        penstock.flwo  # noqa: B018


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("penstock.flows", "flow"),
        ("penstock.flows", "Flow"),
        ("penstock.tasks", "task"),
        ("penstock.tasks", "Task"),
        ("penstock.tasks", "task_input_hash"),
        ("penstock.serializers", "CompressedJSONSerializer"),
        ("penstock.serializers", "CompressedPickleSerializer"),
        ("penstock.serializers", "CompressedSerializer"),
        ("penstock.serializers", "JSONSerializer"),
        ("penstock.serializers", "PickleSerializer"),
        ("penstock.serializers", "Serializer"),
        ("penstock.states", "Completed"),
        ("penstock.states", "Failed"),
        ("penstock.task_runners", "ConcurrentTaskRunner"),
        ("penstock.task_runners", "SequentialTaskRunner"),
        ("penstock.task_runners", "BaseTaskRunner"),
        ("penstock.task_runners", "TaskConcurrencyType"),
        ("penstock.task_runners", "DaskTaskRunner"),
        ("penstock.task_runners", "RayTaskRunner"),
        ("penstock.context", "get_run_context"),
        ("penstock.context", "tags"),
        ("penstock.deployments", "Deployment"),
        ("penstock.filesystems", "SMB"),
        ("penstock.infrastructure", "AzureContainerInstanceJob"),
        ("penstock.infrastructure", "CloudRunJob"),
        ("penstock.infrastructure", "DockerContainer"),
        ("penstock.infrastructure", "ECSTask"),
        ("penstock.infrastructure", "KubernetesClusterConfig"),
        ("penstock.infrastructure", "KubernetesImagePullPolicy"),
        ("penstock.infrastructure", "KubernetesJob"),
        ("penstock.infrastructure", "KubernetesManifest"),
        ("penstock.infrastructure", "KubernetesRestartPolicy"),
        ("penstock.infrastructure", "Process"),
        ("penstock.infrastructure.aci", "ACRManagedIdentity"),
        ("penstock.infrastructure.aci", "AzureContainerInstanceJob"),
        ("penstock.infrastructure.cloud_run", "CloudRunJob"),
        ("penstock.infrastructure.docker", "DockerContainer"),
        ("penstock.infrastructure.docker", "DockerRegistry"),
        ("penstock.infrastructure.docker", "ImagePullPolicy"),
        ("penstock.infrastructure.ecs", "ECSTask"),
        ("penstock.infrastructure.kubernetes", "KubernetesImagePullPolicy"),
        ("penstock.infrastructure.kubernetes", "KubernetesJob"),
        ("penstock.infrastructure.process", "Process"),
        ("penstock.variables", "Variable"),
        ("penstock.variables", "get"),
        ("penstock.artifacts", "Artifact"),
        ("penstock.artifacts", "LinkArtifact"),
        ("penstock.artifacts", "MarkdownArtifact"),
        ("penstock.artifacts", "TableArtifact"),
        ("penstock.artifacts", "create_link_artifact"),
        ("penstock.artifacts", "create_markdown_artifact"),
        ("penstock.artifacts", "create_table_artifact"),
    ],
)
def test_users_of_prefect_2_find_the_names_where_they_look_for_them(module: str, name: str):

    assert getattr(import_module(module), name) is not None


FACADES = (
    "penstock.blocks.credentials",
    "penstock.blocks.notifications",
    "penstock.client",
    "penstock.deployments",
    "penstock.engine",
    "penstock.filesystems",
    "penstock.flows",
    "penstock.infrastructure",
    "penstock.infrastructure.process",
    "penstock.task_runners",
    "penstock.testing",
)


@pytest.mark.parametrize("module", FACADES)
def test_every_name_that_a_lazy_module_lists_is_found_there(module: str):
    found = import_module(module)
    missing = [name for name in dir(found) if getattr(found, name, None) is None]
    assert missing == []
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_that_name'"):
        found.nothing_of_that_name  # noqa: B018
