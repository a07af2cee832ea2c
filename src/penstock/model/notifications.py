"""Notification policies: which states of which runs are told to whom; and the messages that are on their way."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from penstock.model.base import Data, Request, Stored
from penstock.model.block_documents import BlockDocument
from penstock.model.filters import MAX_LIMIT, Equals
from penstock.model.message_templates import check_template

Template = Annotated[str, AfterValidator(check_template)]


def _no_blanks(texts: list[str]) -> list[str]:
    if any(not text.strip() for text in texts):
        raise ValueError("an empty text fits no run; leave the list empty for all runs")
    return list(dict.fromkeys(texts))


Texts = Annotated[list[str], AfterValidator(_no_blanks)]


class FlowRunNotificationPolicy(Stored):
    """A run that enters a state of one of `state_names`, and has one of `tags`, is told through the block.

    An empty list stands for all. `message_template`: None is the message of the house.
    """

    is_active: bool = True
    state_names: list[str]
    tags: list[str]
    block_document_id: UUID
    message_template: str | None = None


class FlowRunNotificationPolicyCreate(Request):
    """`id`: chosen by the client, so that the request can be repeated."""

    id: UUID | None = None
    is_active: bool = True
    state_names: Texts
    tags: Texts
    block_document_id: UUID
    message_template: Template | None = None


class FlowRunNotificationPolicyUpdate(Request):
    """Only fields that are given are changed. A null `message_template` brings the message of the house back."""

    is_active: bool | None = None
    state_names: Texts | None = None
    tags: Texts | None = None
    block_document_id: UUID | None = None
    message_template: Template | None = None


class FlowRunNotificationPolicyFilter(Request):
    is_active: Equals | None = None


class FlowRunNotificationPolicyQuery(Request):
    """Body of ``POST /flow_run_notification_policies/filter``: policies in the order in which they were made."""

    flow_run_notification_policy_filter: FlowRunNotificationPolicyFilter | None = None
    limit: int | None = Field(default=None, ge=0, le=MAX_LIMIT)
    offset: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_default(cls, value: Any) -> Any:
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class DeliveryStatus(StrEnum):
    WAITING = "Waiting"  #: its next try is to come
    SENDING = "Sending"  #: a try is under way
    SENT = "Sent"
    FAILED = "Failed"  #: given up
    GATHERED = "Gathered"  #: told by the message of another delivery


class NotificationDelivery(Stored):
    """One message of a policy and what became of it. `gathered`: how many further runs the message tells of.

    Without `flow_run_id` it is a test. `next_try` is set while it waits, `error` tells of the last try that failed.
    """

    policy_id: UUID
    flow_run_id: UUID | None = None
    flow_run_name: str | None = None
    state_name: str | None = None
    status: DeliveryStatus
    gathered: int = 0
    tries: int = 0
    last_try: datetime | None = None
    next_try: datetime | None = None
    error: str | None = None


class DeliveryOrder(Data):
    """What the notifier process gets: one message, and the block that it is to be sent with, secrets in clear."""

    id: UUID
    document: BlockDocument
    subject: str
    body: str


class DeliveryOutcome(Data):
    """What the notifier process says of one try. `error` None: it was delivered. `retry_after`: seconds that the service asked for."""

    id: UUID
    error: str | None = None
    retry_after: float | None = None


class PolicyTest(Request):
    """Body of ``POST /flow_run_notification_policies/{id}/test``. With `dry_run` nothing is sent."""

    dry_run: bool = False


class SampleMessage(Data):
    """What a message of the policy looks like, with made-up values; and its delivery, unless nothing is sent."""

    subject: str
    body: str
    delivery_id: UUID | None = None
