"""One message through one block: whatever the block does, an outcome comes back, and no secret in it."""

from typing import Any, ClassVar
from uuid import uuid4

import pytest
from pydantic import SecretStr

from penstock.blocks.base import Block
from penstock.model.block_documents import BlockDocument
from penstock.model.block_types import BlockType
from penstock.model.notifications import DeliveryOrder
from penstock.notifier.deliver import deliver

TOLD: list[tuple[str, str | None]] = []


class Pigeon(Block):
    """A notifier of somebody's own, which is no NotificationBlock."""

    _block_type_slug = "pigeon-of-a-test"
    _block_schema_capabilities: ClassVar[list[str] | None] = ["notify"]

    loft: SecretStr = SecretStr("s3cret-loft")
    lost: bool = False

    def notify(self, body: str, subject: str | None = None) -> None:
        print("coo")
        if self.lost:
            raise RuntimeError(f"lost on the way to {self.loft.get_secret_value()}")
        TOLD.append((body, subject))


class Stone(Block):
    _block_type_slug = "stone-of-a-test"

    weight: int = 1


def order(slug: str, **data: Any) -> DeliveryOrder:
    kind = BlockType(id=uuid4(), name=slug, slug=slug)
    document = BlockDocument(
        id=uuid4(), name="x", data=data, block_schema_id=uuid4(), block_type_id=kind.id, block_type=kind
    )
    return DeliveryOrder(id=uuid4(), document=document, subject="S", body="B")


def test_any_block_that_can_notify_is_used():
    TOLD.clear()
    asked = order("pigeon-of-a-test")
    assert deliver(asked, references=False).model_dump() == {"id": asked.id, "error": None, "retry_after": None}
    assert TOLD == [("B", "S")]


def test_what_a_block_raises_is_told_without_its_secrets():
    outcome = deliver(order("pigeon-of-a-test", loft="t0p-s3cret", lost=True), references=False)
    assert outcome.error == "RuntimeError: lost on the way to ********"


@pytest.mark.parametrize(
    ("slug", "data", "words"),
    [
        ("stone-of-a-test", {}, "Stone has no method notify"),
        ("pigeon-of-nobody", {}, "pigeon-of-nobody"),
        ("pigeon-of-a-test", {"wings": 2}, "wings"),
        ("pigeon-of-a-test", {"lost": "perhaps"}, "lost"),
        ("pigeon-of-a-test", {"loft": "${env:HOME}"}, "PENSTOCK_NOTIFICATIONS_REFERENCES"),
        ("pigeon-of-a-test", {"loft": "x ${file:/etc/passwd}"}, "PENSTOCK_NOTIFICATIONS_REFERENCES"),
    ],
)
def test_a_block_that_cannot_be_used_says_why(slug: str, data: dict[str, Any], words: str):
    outcome = deliver(order(slug, **data), references=False)
    assert words in (outcome.error or "")


def test_a_reference_that_is_written_to_stand_for_itself_is_none():
    assert deliver(order("pigeon-of-a-test", loft="$${env:HOME} ${HOME}"), references=False).error is None
