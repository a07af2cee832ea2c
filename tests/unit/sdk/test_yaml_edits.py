"""Whatever is changed in a YAML text, it means what was wanted then, and every comment of a part that stays is there."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.sdk import yaml_edits, yaml_lines

_WORDS = st.sampled_from(["a", "b.c", "on", "env.A", "x y", "12", "d:e", "f #g", "'h", "ü"])
_SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text("ab :#-'\"\n{}[]&*!|>%@`", max_size=12)
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3), max_leaves=6
)
_MAPPINGS = st.dictionaries(_WORDS, _VALUES, min_size=1, max_size=5)


def _commented(values: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """A text that means `values`, and the comment that stands before each of its names."""
    comments = {name: f"# note {number} of somebody\n" for number, name in enumerate(values)}
    return "".join(comments[name] + yaml_edits.dump({name: value}) for name, value in values.items()), comments


@settings(max_examples=150, deadline=None)
@given(before=_MAPPINGS, after=_MAPPINGS, kept=st.sets(_WORDS))
def test_a_text_means_what_was_wanted_and_keeps_the_comments(
    before: dict[str, Any], after: dict[str, Any], kept: set[str]
) -> None:
    wanted = {**after, **{name: value for name, value in before.items() if name in kept}}
    text, comments = _commented(before)
    assert yaml_edits.edit(text, before, before) == text
    edited = yaml_edits.edit(text, before, wanted)
    assert edited is not None
    assert yaml_lines.read(edited, "here").values == wanted
    assert [comment for name, comment in comments.items() if comment not in edited] == []


@settings(max_examples=50, deadline=None)
@given(values=_MAPPINGS)
def test_every_part_of_a_text_knows_its_line(values: dict[str, Any]) -> None:
    text, comments = _commented(values)
    lines = yaml_lines.read(text, "here")
    for name in values:
        assert text.splitlines()[lines.line((name,)) - 2] + "\n" == comments[name]
