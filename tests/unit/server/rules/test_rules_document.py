from pathlib import Path

from penstock.server.rules.document import document

PAGE = Path(__file__).parents[4] / "docs" / "states.md"


def test_the_page_of_states_is_current() -> None:
    assert PAGE.read_text() == document(), "run: python -m penstock.server.rules.document > docs/states.md"
