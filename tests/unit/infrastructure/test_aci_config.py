"""AzureContainerInstanceJob: what it takes and what it refuses."""

from typing import Any

import pytest
from pydantic import ValidationError

from penstock.blocks.credentials import ACRManagedIdentity, DockerRegistry
from penstock.infrastructure import AzureContainerInstanceJob
from penstock.infrastructure.images import ENTRYPOINT, default_image

GUID = "00000000-1111-2222-3333-444444444444"
NEEDED = {"resource_group_name": "flows", "subscription_id": GUID}
ABOVE = f"/subscriptions/{GUID}/resourceGroups/flows/providers"
IDENTITY = f"{ABOVE}/Microsoft.ManagedIdentity/userAssignedIdentities/flows"
SUBNET = f"{ABOVE}/Microsoft.Network/virtualNetworks/net/subnets/default"


def test_resource_group_and_subscription_have_to_be_said():
    with pytest.raises(ValidationError) as caught:
        AzureContainerInstanceJob()  # type: ignore[call-arg]
    assert [fault["loc"] for fault in caught.value.errors()] == [("resource_group_name",), ("subscription_id",)]
    block = AzureContainerInstanceJob(**NEEDED)
    assert (block.image, block.entrypoint, block.cpu, block.memory) == (default_image(), ENTRYPOINT, 1.0, 1.0)
    assert (block.type, block.get_block_type_slug()) == ("container-instance-job", "azure-container-instance-job")


def test_the_fields_users_of_prefect_2_know_have_their_order():
    own = ("start_timeout", "run_timeout", "cancel_timeout", "grace_seconds")
    assert [name for name in AzureContainerInstanceJob.model_fields if name not in own] == [
        "type", "env", "labels", "name", "command", "aci_credentials", "resource_group_name", "subscription_id",
        "identities", "image", "entrypoint", "image_registry", "cpu", "gpu_count", "gpu_sku", "memory", "subnet_ids",
        "dns_servers", "stream_output", "task_start_timeout_seconds", "task_watch_poll_interval",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"resource_group_name": "flows."}, "does not end with a dot"),
        ({"resource_group_name": "a b"}, "resource_group_name is 'a b'"),
        ({"image": "Flows"}, "names no image"),
        ({"identities": ["flows"]}, "userAssignedIdentities/NAME"),
        ({"subnet_ids": [IDENTITY]}, "subnets/SUBNET"),
        ({"subnet_ids": [SUBNET], "dns_servers": ["dns"]}, "'dns' is no IP address"),
        ({"dns_servers": ["10.0.0.1"]}, "give subnet_ids too"),
        ({"gpu_count": 1}, "gpu_sku is missing"),
        ({"gpu_sku": "V100"}, "gpu_count is missing"),
        ({"gpu_count": 1, "gpu_sku": "V10"}, "Did you mean 'V100'"),
        ({"cpu": 0}, "greater than 0"),
        ({"memory": 1.55}, "steps of 0.1"),
        ({"memory": "inf"}, "finite number"),
        ({"memory": 0.05}, "steps of 0.1"),
        ({"image_registry": {"registry_url": "a.azurecr.io", "idenity": "x"}}, "Did you mean 'identity'"),
        ({"image_registry": {"registry_url": "a.azurecr.io", "username": "u"}}, "password"),
        ({"aci_credentials": {"client_id": "x"}}, "tenant_id and client_secret not given"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(fields: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        AzureContainerInstanceJob(**{**NEEDED, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"identities": [IDENTITY], "subnet_ids": [SUBNET], "dns_servers": ["10.0.0.1", "fd00::1"]},
        {"gpu_count": 2, "gpu_sku": "V100", "cpu": 0.5, "memory": 2.3},
        {"image": None, "entrypoint": None, "stream_output": False},
        {"resource_group_name": "${env:GROUP}", "subnet_ids": ["${env:SUBNET}"]},
    ],
)
def test_what_can_be_is_kept_as_it_was_written(fields: dict[str, Any]):
    block = AzureContainerInstanceJob(**{**NEEDED, **fields})
    assert {name: getattr(block, name) for name in fields} == fields
    assert AzureContainerInstanceJob.model_validate(block.to_document_data()) == block


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"registry_url": "a.azurecr.io", "identity": IDENTITY}, ACRManagedIdentity),
        ({"registry_url": "a.azurecr.io", "username": "u", "password": "p"}, DockerRegistry),
        (ACRManagedIdentity(registry_url="a.azurecr.io", identity=IDENTITY), ACRManagedIdentity),
        (DockerRegistry(username="u", password="p", registry_url="a.azurecr.io"), DockerRegistry),  # type: ignore[arg-type]
    ],
)
def test_an_image_is_fetched_by_login_or_as_an_identity(given: Any, kind: type):
    block = AzureContainerInstanceJob(**NEEDED, image_registry=given)
    assert type(block.image_registry) is kind
    assert AzureContainerInstanceJob.model_validate(block.to_document_data()) == block


def test_the_subscription_is_a_secret_in_errors_too():
    with pytest.raises(ValidationError) as caught:
        AzureContainerInstanceJob(resource_group_name="flows", subscription_id="hunter2")  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)
    assert "00000000-0000-0000-0000-000000000000" in str(caught.value)
    assert GUID not in str(AzureContainerInstanceJob(**NEEDED).snapshot())


def test_the_start_timeout_of_prefect_2_is_the_start_limit_where_ours_is_not_set():
    assert AzureContainerInstanceJob(**NEEDED).limits().start == 600
    assert AzureContainerInstanceJob(**NEEDED, task_start_timeout_seconds=90).limits().start == 90  # type: ignore[arg-type]
