"""Messages on their way, held against a clock that stands still: who has them, how many go out, when they are tried again."""

import asyncio
import socket
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from penstock import clock
from penstock.model.block_documents import BlockDocumentCreate
from penstock.model.flows import FlowCreate
from penstock.model.notifications import (
    DeliveryOrder,
    DeliveryOutcome,
    FlowRunNotificationPolicy,
    FlowRunNotificationPolicyCreate,
    FlowRunNotificationPolicyUpdate,
    NotificationDelivery,
)
from penstock.model.states import StateCreate, StateType
from penstock.server.database import tables as t
from penstock.server.database.connection import Database, Transaction
from penstock.server.operations.claim_deliveries import Terms, claim_deliveries, next_due
from penstock.server.operations.create_block_document import create_block_document
from penstock.server.operations.create_flow import create_flow
from penstock.server.operations.create_notification_policy import create_notification_policy
from penstock.server.operations.delete_flow_run import delete_flow_run
from penstock.server.operations.insert_flow_run import insert_flow_run
from penstock.server.operations.install_defaults import install_defaults
from penstock.server.operations.read_notification_deliveries import read_notification_deliveries
from penstock.server.operations.remove_stale import remove_stale
from penstock.server.operations.send_test_notification import send_test_notification
from penstock.server.operations.settle_deliveries import release_deliveries, renew_deliveries, settle_deliveries
from penstock.server.operations.update_notification_policy import update_notification_policy
from penstock.server.services import notifications


class Post:
    """A database with one notifier and the policies of a test, at the time that `forward` moves on."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database, self.now = database, clock.now()
        monkeypatch.setattr(clock, "now", lambda: self.now)
        self.terms = Terms(limit=3, span=60, tries=4, first_wait=10, lease=30)
        self.holder = uuid4()
        self.write(install_defaults)
        self.flow_id = self.write(create_flow, FlowCreate(name="etl"))[0].id
        self.block_id = self.block("ops", "https://h/s3cret")

    def write(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return self.database.submit_write(function, *args, **kwargs).result(timeout=120)

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def block(self, name: str, url: str) -> UUID:
        found: UUID = self.write(self._block, name, url)
        return found

    @staticmethod
    def _block(tx: Transaction, name: str, url: str) -> UUID:
        found = tx.execute(
            sa.select(t.block_schema.c.id, t.block_schema.c.block_type_id)
            .join(t.block_type, t.block_type.c.id == t.block_schema.c.block_type_id)
            .where(t.block_type.c.slug == "slack-webhook")
        ).one()
        asked = BlockDocumentCreate(
            name=name, data={"url": url}, block_schema_id=found.id, block_type_id=found.block_type_id
        )
        return create_block_document(tx, asked).id

    def policy(self, **fields: Any) -> FlowRunNotificationPolicy:
        given = {"state_names": ["Failed"], "tags": [], "block_document_id": self.block_id, **fields}
        made: FlowRunNotificationPolicy = self.write(
            create_notification_policy, FlowRunNotificationPolicyCreate(**given)
        )
        return made

    def fail(self, count: int = 1, **fields: Any) -> list[UUID]:
        """That many runs fail, one after the other."""
        runs = []
        for _ in range(count):
            values = {"flow_id": self.flow_id, "name": f"run-{len(runs)}", **fields}
            runs.append(self.write(insert_flow_run, values, StateCreate(type=StateType.FAILED))[0].id)
            self.forward(0.001)
        return runs

    def claim(self, room: int = 100, holder: UUID | None = None) -> list[DeliveryOrder]:
        orders: list[DeliveryOrder] = self.write(claim_deliveries, holder or self.holder, room, self.terms)
        return orders

    def settle(self, *orders: DeliveryOrder, error: str | None = None, **fields: Any) -> int:
        outcomes = [DeliveryOutcome(id=order.id, error=error, **fields) for order in orders]
        settled: int = self.write(settle_deliveries, self.holder, outcomes, self.terms)
        return settled

    def deliveries(self, policy: FlowRunNotificationPolicy) -> list[NotificationDelivery]:
        """The oldest first."""
        found: list[NotificationDelivery] = self.write(read_notification_deliveries, policy.id, 200)
        return found[::-1]

    def delivery(self, policy: FlowRunNotificationPolicy) -> NotificationDelivery:
        (found,) = self.deliveries(policy)
        return found

    def seconds_to_next(self) -> float | None:
        due = self.write(next_due)
        return None if due is None else (due - self.now).total_seconds()


@pytest.fixture
def post(database: Database, monkeypatch: pytest.MonkeyPatch) -> Post:
    return Post(database, monkeypatch)


def test_an_order_has_the_message_and_the_block_with_its_secrets(post: Post):
    post.policy()
    post.fail(name="red-fox")
    (order,) = post.claim()
    assert order.subject == "etl/red-fox: Failed"
    assert order.document.data["url"] == "https://h/s3cret"
    assert "s3cret" not in order.body


def test_a_message_is_had_by_one_until_its_lease_is_over(post: Post):
    policy = post.policy()
    post.fail()
    (order,) = post.claim()
    assert post.claim(holder=uuid4()) == post.claim() == []
    post.forward(29)
    post.write(renew_deliveries, post.holder, [order.id], post.terms)
    post.forward(29)
    assert post.claim(holder=uuid4()) == []
    post.forward(2)
    other = uuid4()
    assert [again.id for again in post.claim(holder=other)] == [order.id]
    # the first one comes late: it has nothing to say any more
    assert post.settle(order) == 0
    assert (post.delivery(policy).status, post.delivery(policy).tries) == ("Sending", 2)


def test_what_was_sent_is_settled_and_nothing_is_left_to_look_after(post: Post):
    policy = post.policy()
    post.fail()
    assert post.settle(*post.claim()) == 1
    found = post.delivery(policy)
    assert (found.status, found.tries, found.next_try, found.error) == ("Sent", 1, None, None)
    assert post.seconds_to_next() is None


def test_what_fails_is_tried_again_after_longer_and_longer_waits_and_given_up_in_the_end(post: Post):
    policy = post.policy()
    post.fail()
    waits = []
    for _ in range(post.terms.tries):
        (order,) = post.claim()
        post.settle(order, error="503: come later")
        waits.append(post.seconds_to_next())
        post.forward(waits[-1] or 0)
    assert waits[-1] is None
    assert 7.5 <= waits[0] <= 12.5 < 15 <= waits[1] <= 25 < 30 <= waits[2] <= 50
    found = post.delivery(policy)
    assert (found.status, found.tries, found.error) == ("Failed", 4, "503: come later")


def test_what_the_service_asks_for_is_waited_for(post: Post):
    post.policy()
    post.fail()
    post.settle(*post.claim(), error="429", retry_after=600.0)
    assert 600 <= (post.seconds_to_next() or 0) <= 660


def test_a_message_of_yesterday_is_given_up_however_few_its_tries(post: Post):
    policy = post.policy()
    post.fail()
    post.settle(*post.claim(), error="429", retry_after=86_399.0)
    assert post.delivery(policy).status == "Failed"


def test_a_try_of_which_nobody_tells_counts(post: Post):
    policy = post.policy()
    post.fail()
    for _ in range(post.terms.tries):
        assert len(post.claim()) == 1
        post.forward(31)
    assert post.claim() == []
    assert post.delivery(policy).status == "Failed"


def test_what_a_notifier_had_that_is_gone_is_tried_again_soon(post: Post):
    policy = post.policy()
    post.fail(2)
    first, second = post.claim()
    post.settle(first)
    assert post.write(release_deliveries, post.holder, "it has ended", 1.0) == 1
    assert 0.75 <= (post.seconds_to_next() or 0) <= 1.25
    assert [(found.status, found.error) for found in post.deliveries(policy)] == [
        ("Sent", None),
        ("Waiting", "it has ended"),
    ]
    post.forward(2)
    assert [order.id for order in post.claim()] == [second.id]


def test_what_is_over_the_limit_is_gathered_into_one_message(post: Post):
    policy = post.policy()
    post.fail(40)
    orders = post.claim()
    assert len(orders) == 3
    assert [order.subject.endswith("and 37 more") for order in orders] == [False, False, True]
    assert "and 37 more: etl/run-3 is Failed" in orders[2].body
    assert [found.gathered for found in post.deliveries(policy)] == [0, 0, 37]


def test_the_limit_holds_for_every_span_of_time(post: Post):
    policy = post.policy()
    post.fail(2)
    post.settle(*post.claim())
    post.forward(20)
    post.fail(1)
    post.settle(*post.claim())
    post.fail(50)
    assert post.claim() == []
    # two of the three are a minute old in 40 seconds
    assert 39 < (post.seconds_to_next() or 0) <= 40
    post.forward(40)
    orders = post.claim()
    assert len(orders) == 2
    assert sum(found.gathered + 1 for found in post.deliveries(policy)) == 53


def test_repeated_tries_count_and_are_gathered_with_what_they_had_gathered(post: Post):
    policy = post.policy()
    post.fail(10)
    orders = post.claim()
    post.settle(*orders, error="down")
    post.forward(61)
    post.fail(10)
    again = post.claim()
    assert len(again) == 3
    assert sum(found.gathered + 1 for found in post.deliveries(policy)) == 20
    post.settle(*again)
    assert {found.status for found in post.deliveries(policy)} == {"Sent"}


def test_what_has_gathered_others_is_gathered_with_them(post: Post):
    policy = post.policy()
    post.fail(10)
    post.settle(*post.claim(), error="down")
    post.forward(61)
    post.terms = replace(post.terms, limit=1)
    (order,) = post.claim()
    assert order.subject.endswith("and 9 more")
    assert post.delivery(policy).gathered == 9


def test_tests_use_up_nothing_of_the_limit(post: Post):
    policy = post.policy()
    for _ in range(5):
        post.write(send_test_notification, policy.id, "", False)
    assert len(post.claim()) == 5
    post.fail(3)
    assert len(post.claim()) == 3


def test_room_is_no_reason_to_gather(post: Post):
    post.policy()
    post.terms = Terms(limit=10)
    post.fail(8)
    assert [len(post.claim(room=room)) for room in (2, 5, 5)] == [2, 5, 1]


def test_policies_do_not_use_up_the_limit_of_each_other(post: Post):
    quiet, loud = post.policy(tags=["quiet"]), post.policy(tags=["loud"])
    post.fail(30, tags=["loud"])
    post.fail(1, tags=["quiet"])
    assert len(post.claim()) == 4
    assert post.delivery(quiet).gathered == 0
    assert sum(found.gathered + 1 for found in post.deliveries(loud)) == 30


def test_a_paused_policy_sends_nothing_that_waits(post: Post):
    policy = post.policy()
    post.fail(2)
    post.write(update_notification_policy, policy.id, FlowRunNotificationPolicyUpdate(is_active=False))
    assert post.claim() == []
    assert {found.status for found in post.deliveries(policy)} == {"Failed"}
    assert "paused" in (post.deliveries(policy)[0].error or "")


def test_a_test_is_sent_also_where_the_policy_is_paused_or_over_its_limit_and_is_tried_once(post: Post):
    policy = post.policy()
    post.fail(3)
    assert len(post.claim()) == 3
    post.write(update_notification_policy, policy.id, FlowRunNotificationPolicyUpdate(is_active=False))
    post.write(send_test_notification, policy.id, "", False)
    (order,) = post.claim()
    assert order.subject == "example-flow/test-run: Failed"
    post.settle(order, error="404: no such hook")
    assert (post.deliveries(policy)[-1].status, post.deliveries(policy)[-1].error) == ("Failed", "404: no such hook")


def test_a_run_that_was_deleted_is_not_told(post: Post):
    policy = post.policy()
    (run_id,) = post.fail()
    post.write(delete_flow_run, run_id)
    assert post.claim() == []
    assert (post.delivery(policy).status, post.delivery(policy).error) == (
        "Failed",
        "The run was deleted before it was told.",
    )


def test_links_lead_to_the_user_interface(post: Post):
    post.policy(message_template="{url} {flow_run_url}")
    post.terms = Terms(ui_url="https://flows.example.com/")
    (run_id,) = post.fail()
    (order,) = post.claim()
    assert order.body == " ".join([f"https://flows.example.com/flow-runs/flow-run/{run_id}"] * 2)


def test_what_became_of_messages_is_forgotten_after_two_weeks_and_what_waits_is_not(post: Post):
    policy = post.policy()
    post.fail(2)
    first, second = post.claim()
    post.settle(first)
    post.settle(second, error="down")
    post.forward(15 * 86_400)
    post.write(remove_stale)
    assert [found.status for found in post.deliveries(policy)] == ["Waiting"]


def test_what_another_server_has_changed_counts_here_after_two_seconds(post: Post, monkeypatch: pytest.MonkeyPatch):
    monotonic = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic)
    post.fail()
    other = Database(post.database.url.render_as_string(hide_password=False))
    try:
        here, post.database = post.database, other
        policy = post.policy()
        post.database = here
        post.fail()
        assert post.deliveries(policy) == []
        monotonic += 2
        post.fail()
        assert len(post.deliveries(policy)) == 1
        post.database = other
        post.write(update_notification_policy, policy.id, FlowRunNotificationPolicyUpdate(is_active=False))
        post.database = here
        post.fail()  # it is remembered as active, and nothing is put down nevertheless
        assert len(post.deliveries(policy)) == 1
    finally:
        other.close()


def test_a_try_that_hangs_ends_its_process_and_is_made_again(post: Post, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notifications, "TRY_SECONDS", 0.5)
    monkeypatch.setenv("PENSTOCK_NOTIFICATIONS_LEASE_SECONDS", "0.6")

    async def run_until_it_has_failed(policy: FlowRunNotificationPolicy) -> None:
        post.database.hub.attach(asyncio.get_running_loop())
        service = notifications.NotificationsService(post.database)
        await service.start()
        try:
            async with asyncio.timeout(150):
                while post.delivery(policy).error is None:
                    await asyncio.sleep(0.05)
        finally:
            await service.stop()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        policy = post.policy(block_document_id=post.block("silent", url))
        post.fail()
        asyncio.run(run_until_it_has_failed(policy))
    found = post.delivery(policy)
    assert (found.status, found.tries) == ("Waiting", 1)
    assert "may have been sent" in (found.error or "")
