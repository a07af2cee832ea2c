import pytest

from penstock.model.queue_names import matches, serves


@pytest.mark.parametrize(
    ("name", "text", "fits"),
    [
        ("etl-night", "etl-", True),
        ("etl-night", "night", False),
        ("etl-night", "*-night", True),
        ("etl-night-2", "*-night", False),
        ("etl-night-2", "*-night*", True),
        ("team-1", "team-?", True),
        ("team-12", "team-?", False),
        ("ETL", "etl*", False),
        ("a[b]c", "a[b]*", True),
        ("abc", "a[b]*", False),
        ("100%", "1%", False),
    ],
)
def test_a_text_means_names_that_begin_so_or_with_wildcards_whole_names_that_fit(
    name: str, text: str, fits: bool
) -> None:
    assert matches(name, text) is fits


def test_an_agent_serves_what_it_names_in_each_of_its_pools_and_everything_there_if_it_names_nothing() -> None:
    assert serves(("b", "q"), ["a", "b"], ["q"], [])
    assert serves(("b", "any"), ["a", "b"], [], [])
    assert serves(("b", "x-1"), ["a", "b"], ["q"], ["x-"])
    assert not serves(("b", "y"), ["a", "b"], ["q"], ["x-"])
    assert not serves(("c", "q"), ["a", "b"], ["q"], [])
