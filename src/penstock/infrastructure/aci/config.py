"""The AzureContainerInstanceJob block: what you want of a container group of Azure Container Instances."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, SecretStr, Tag, field_validator, model_validator

from penstock.blocks.credentials.azure import ACRManagedIdentity, AzureContainerInstanceCredentials
from penstock.blocks.credentials.docker_registry import DockerRegistry
from penstock.blocks.extras import holds_reference
from penstock.infrastructure.aci import names
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.choices import read_choice
from penstock.infrastructure.images import ENTRYPOINT, check_image, default_image
from penstock.infrastructure.platform_limits import with_platform_limits
from penstock.model.attempts import Limits

#: The kinds of GPU that Azure Container Instances has.
_GPUS = ("K80", "P100", "V100")


def _kind_of_registry(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "identity"
            if "identity" in value or not {"username", "password", "block_type_slug"} & set(value)
            else "login"
        )
    return "identity" if isinstance(value, ACRManagedIdentity) else "login"


#: By login, or as a managed identity: which of them is meant is told by the fields, so that errors are about one.
ImageRegistry = Annotated[
    Annotated[DockerRegistry, Tag("login")] | Annotated[ACRManagedIdentity, Tag("identity")],
    Discriminator(_kind_of_registry),
]


class AzureContainerInstanceJob(Infrastructure):
    """Runs the flow run in a container group of Azure Container Instances.

    The flow's code comes out of a storage or is part of the image; the API must be reachable from within the container.
    """

    _block_type_name: ClassVar[str | None] = "Azure Container Instance Job"
    _block_type_slug: ClassVar[str | None] = "azure-container-instance-job"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import AzureContainerInstanceCredentials
        from penstock.infrastructure import AzureContainerInstanceJob

        AzureContainerInstanceJob(
            aci_credentials=AzureContainerInstanceCredentials.load("CREDENTIALS_NAME"),
            resource_group_name="flows",
            subscription_id="00000000-0000-0000-0000-000000000000",
            cpu=1,
            memory=2,
        ).save("BLOCK_NAME")
    """

    type: Literal["container-instance-job"] = Field(
        default="container-instance-job", description="The type of infrastructure."
    )
    env: dict[str, str | None] = Field(
        default_factory=dict,
        title="Environment Variables",
        description="Environment variables of the job. They win over all others; null removes a variable.",
    )
    aci_credentials: AzureContainerInstanceCredentials = Field(
        default_factory=AzureContainerInstanceCredentials,
        description="As whom the agent starts container groups. By default what Azure's library finds on its machine.",
    )
    resource_group_name: str = Field(
        title="Azure Resource Group Name", description="Resource group that container groups are made in."
    )
    subscription_id: SecretStr = Field(
        title="Azure Subscription ID", description="Subscription that the resource group belongs to."
    )
    identities: list[str] | None = Field(
        default=None,
        title="Identities",
        description="Resource ids of user-assigned identities that the container has.",
    )
    image: str | None = Field(
        default_factory=default_image,
        description="The image: [registry/]repository[:tag][@digest]. By default Penstock's own, with the version and "
        "the Python that the block was made with.",
    )
    entrypoint: str | None = Field(
        default=ENTRYPOINT,
        description="What is started in the container, with the command as its arguments. Null: the command itself.",
    )
    image_registry: ImageRegistry | None = Field(
        default=None,
        title="Image Registry (Optional)",
        description="How to get at an image that is not public: a login, or a managed identity for an Azure Container "
        "Registry.",
    )
    cpu: float = Field(default=1.0, gt=0, title="CPU", description="CPUs of the container.")
    gpu_count: int | None = Field(
        default=None, gt=0, title="GPU Count", description="GPUs of the container. Goes with gpu_sku."
    )
    gpu_sku: str | None = Field(
        default=None, title="GPU SKU", description="Kind of GPU, e.g. V100. Goes with gpu_count."
    )
    memory: float = Field(default=1.0, gt=0, description="GB of memory of the container, in steps of 0.1.")
    subnet_ids: list[str] | None = Field(
        default=None, title="Subnet IDs", description="Resource ids of the subnets that the container is placed in."
    )
    dns_servers: list[str] | None = Field(
        default=None, title="DNS Servers", description="IP addresses of name servers. Needs subnet_ids."
    )
    stream_output: bool | None = Field(
        default=None, description="Whether the agent shows the container's output in its own."
    )
    task_start_timeout_seconds: int = Field(
        default=240,
        gt=0,
        description="Seconds until the container must run; other than 240 it takes the place of start_timeout, where "
        "that is not set.",
    )
    task_watch_poll_interval: float = Field(
        default=5.0, gt=0, description="Most seconds between two looks at the container."
    )

    @field_validator("resource_group_name")
    @classmethod
    def _check_group(cls, value: str) -> str:
        return names.check_group(value)

    @field_validator("subscription_id")
    @classmethod
    def _check_subscription(cls, value: SecretStr) -> SecretStr:
        names.check_subscription(value.get_secret_value())
        return value

    @field_validator("identities")
    @classmethod
    def _check_identities(cls, value: list[str] | None) -> list[str] | None:
        return value and [names.check_identity(text) for text in value]

    @field_validator("subnet_ids")
    @classmethod
    def _check_subnets(cls, value: list[str] | None) -> list[str] | None:
        return value and [names.check_subnet(text) for text in value]

    @field_validator("dns_servers")
    @classmethod
    def _check_servers(cls, value: list[str] | None) -> list[str] | None:
        return value and [names.check_address(text) for text in value]

    @field_validator("image")
    @classmethod
    def _check_image(cls, value: str | None) -> str | None:
        return value if value is None or holds_reference(value) else check_image(value)

    @field_validator("gpu_sku", mode="before")
    @classmethod
    def _read_gpu(cls, value: Any) -> Any:
        return value if isinstance(value, str) and holds_reference(value) else read_choice(value, _GPUS)

    @field_validator("memory")
    @classmethod
    def _check_memory(cls, value: float) -> float:
        if abs(value * 10 - round(value * 10)) > 1e-6 or value < 0.1:
            raise ValueError(f"memory is {value}; Azure gives it in steps of 0.1 GB.")
        return value

    @model_validator(mode="after")
    def _check_what_goes_together(self) -> Self:
        if (self.gpu_count is None) != (self.gpu_sku is None):
            missing = "gpu_count" if self.gpu_count is None else "gpu_sku"
            raise ValueError(f"gpu_count and gpu_sku go together, and {missing} is missing.")
        if self.dns_servers and not self.subnet_ids:
            raise ValueError("dns_servers are for containers in a network of yours: give subnet_ids too.")
        return self

    def limits(self) -> Limits:
        return with_platform_limits(super().limits(), self, start="task_start_timeout_seconds", run=None)
