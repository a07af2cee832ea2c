"""What uses a block document, and would break without it."""

from uuid import UUID

from pydantic import Field

from penstock.model.base import Request


class BlockUser(Request):
    """A block document that refers to it. `fields`: the dotted places of the references."""

    id: UUID
    name: str
    block_type_slug: str | None = None
    fields: list[str] = Field(default_factory=list)


class DeploymentUser(Request):
    """A deployment that has it as its infrastructure, its storage, or both."""

    id: UUID
    name: str
    flow_name: str
    uses_as: list[str] = Field(default_factory=list)


class PolicyUser(Request):
    """A notification policy that tells through it."""

    id: UUID
    state_names: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)


class BlockUsers(Request):
    """The answer of ``GET /block_documents/{id}/used_by``."""

    block_documents: list[BlockUser] = Field(default_factory=list)
    deployments: list[DeploymentUser] = Field(default_factory=list)
    notification_policies: list[PolicyUser] = Field(default_factory=list)
