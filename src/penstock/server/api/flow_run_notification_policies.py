from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from penstock import settings
from penstock.model.filters import MAX_LIMIT
from penstock.model.notifications import (
    FlowRunNotificationPolicy,
    FlowRunNotificationPolicyCreate,
    FlowRunNotificationPolicyQuery,
    FlowRunNotificationPolicyUpdate,
    NotificationDelivery,
    PolicyTest,
    SampleMessage,
)
from penstock.server.api.answers import answer, no_content
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.create_notification_policy import create_notification_policy
from penstock.server.operations.delete_notification_policy import delete_notification_policy
from penstock.server.operations.read_notification_deliveries import read_notification_deliveries
from penstock.server.operations.read_notification_policies import (
    read_notification_policies,
    read_notification_policy,
)
from penstock.server.operations.send_test_notification import send_test_notification
from penstock.server.operations.update_notification_policy import update_notification_policy

router = APIRouter(prefix="/flow_run_notification_policies", tags=["Flow Run Notification Policies"])
PolicyId = Annotated[UUID, Path(alias="id")]


@router.post("/", response_model=FlowRunNotificationPolicy, status_code=201)
async def create(body: FlowRunNotificationPolicyCreate, database: TheDatabase) -> Response:
    return answer(await database.write(create_notification_policy, body), 201)


@router.post("/filter", response_model=list[FlowRunNotificationPolicy])
async def read_many(database: TheDatabase, body: FlowRunNotificationPolicyQuery | None = None) -> Response:
    return answer(await database.read(read_notification_policies, body or FlowRunNotificationPolicyQuery()))


@router.get("/{id}", response_model=FlowRunNotificationPolicy)
async def read(policy_id: PolicyId, database: TheDatabase) -> Response:
    return answer(await database.read(read_notification_policy, policy_id))


@router.patch("/{id}", status_code=204)
async def update(policy_id: PolicyId, body: FlowRunNotificationPolicyUpdate, database: TheDatabase) -> Response:
    await database.write(update_notification_policy, policy_id, body)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(policy_id: PolicyId, database: TheDatabase) -> Response:
    await database.write(delete_notification_policy, policy_id)
    return no_content()


@router.get("/{id}/deliveries", response_model=list[NotificationDelivery])
async def read_deliveries(
    policy_id: PolicyId, database: TheDatabase, limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 20
) -> Response:
    """The newest messages first, each with what became of it."""
    return answer(await database.read(read_notification_deliveries, policy_id, limit))


@router.post("/{id}/test", response_model=SampleMessage)
async def send_test(policy_id: PolicyId, database: TheDatabase, body: PolicyTest | None = None) -> Response:
    """Send a message with made-up values, or only show it."""
    ui_url = settings.get("PENSTOCK_UI_URL") or ""
    dry_run = body is not None and body.dry_run
    return answer(await database.write(send_test_notification, policy_id, ui_url, dry_run))
