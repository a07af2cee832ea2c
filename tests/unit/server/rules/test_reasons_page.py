"""The table of reasons is whole, and its page is current."""

from pathlib import Path

from penstock.model.reasons import Reason
from penstock.server.rules.reasons import REASONS, document, hint

PAGE = Path(__file__).parents[4] / "docs" / "reasons.md"


def test_every_reason_says_what_happened_and_what_to_do() -> None:
    assert set(REASONS) == set(Reason)
    assert all(meaning.endswith(".") and hint(reason).endswith(".") for reason, (meaning, _) in REASONS.items())


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == document(), "python -m penstock.server.rules.reasons > docs/reasons.md"
