"""Calls about notification policies: which states of which runs are told to whom."""

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from penstock.client.call import Call, given, nothing, segment

if TYPE_CHECKING:
    from penstock.model.notifications import (
        FlowRunNotificationPolicy,
        FlowRunNotificationPolicyCreate,
        FlowRunNotificationPolicyUpdate,
        NotificationDelivery,
        SampleMessage,
    )

_ROOT = "/flow_run_notification_policies/"


def create_flow_run_notification_policy(
    policy: "FlowRunNotificationPolicyCreate",
) -> "Call[FlowRunNotificationPolicy]":
    """It carries an id, so that the server knows it again when it is repeated."""
    body = policy if policy.id is not None else policy.model_copy(update={"id": uuid4()})
    return Call("POST", _ROOT, _policy, body=body)


def read_flow_run_notification_policy(policy_id: UUID) -> "Call[FlowRunNotificationPolicy]":
    return Call("GET", _ROOT + segment(policy_id), _policy)


def read_flow_run_notification_policies(
    *, policy_filter: dict[str, Any] | None = None, limit: int | None = None, offset: int = 0
) -> "Call[list[FlowRunNotificationPolicy]]":
    """Policies that fit the filter, which has the shape of the API, in the order in which they were made."""
    body = given(flow_run_notification_policy_filter=policy_filter, limit=limit, offset=offset)
    return Call("POST", _ROOT + "filter", _policies, body=body)


def update_flow_run_notification_policy(policy_id: UUID, change: "FlowRunNotificationPolicyUpdate") -> Call[None]:
    """Change the fields that `change` sets."""
    return Call("PATCH", _ROOT + segment(policy_id), nothing, body=change, partial=True)


def delete_flow_run_notification_policy(policy_id: UUID) -> Call[None]:
    return Call("DELETE", _ROOT + segment(policy_id), nothing)


def read_notification_deliveries(policy_id: UUID, limit: int = 20) -> "Call[list[NotificationDelivery]]":
    """What became of the newest messages of the policy."""
    return Call("GET", f"{_ROOT}{segment(policy_id)}/deliveries", _deliveries, query={"limit": str(limit)})


def send_test_notification(policy_id: UUID, *, dry_run: bool = False) -> "Call[SampleMessage]":
    """Send a message with made-up values, or only show it. It is not repeated by itself: that would be a second one."""
    body = {"dry_run": dry_run}
    return Call("POST", f"{_ROOT}{segment(policy_id)}/test", _sample, body=body, repeatable=dry_run)


def _policy() -> "type[FlowRunNotificationPolicy]":
    from penstock.model.notifications import FlowRunNotificationPolicy

    return FlowRunNotificationPolicy


def _policies() -> "type[list[FlowRunNotificationPolicy]]":
    from penstock.model.notifications import FlowRunNotificationPolicy

    return list[FlowRunNotificationPolicy]


def _deliveries() -> "type[list[NotificationDelivery]]":
    from penstock.model.notifications import NotificationDelivery

    return list[NotificationDelivery]


def _sample() -> "type[SampleMessage]":
    from penstock.model.notifications import SampleMessage

    return SampleMessage
