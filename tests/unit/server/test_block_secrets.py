"""Secrets of block documents, as pure data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import Invalid
from penstock.model.block_documents import MASK
from penstock.server.rules import block_references, block_secrets

FIELDS = ["password", "extra.*", "inner.token", "list.key"]

#: What the schema of FIELDS may hold; secrets carry a word by which they are found.
planted = st.text(alphabet="abc", min_size=1).map(lambda text: f"PLANTED{text}")
documents = st.fixed_dictionaries(
    {},
    optional={
        "user": st.text(alphabet="xyz"),
        "password": st.none() | planted,
        "extra": st.none() | st.dictionaries(st.text(alphabet="k.", min_size=1), st.none() | planted),
        "inner": st.none()
        | st.fixed_dictionaries({"host": st.text(alphabet="xyz")}, optional={"token": st.none() | planted}),
        "list": st.lists(st.fixed_dictionaries({"key": st.none() | planted})),
    },
)


@given(documents)
def test_a_document_that_is_taken_apart_and_put_together_is_the_same(document):
    rest, found = block_secrets.take_out(document, FIELDS)
    assert block_secrets.put_back(rest, found) == document


@given(documents)
def test_no_secret_stays_behind(document):
    rest, _ = block_secrets.take_out(document, FIELDS)
    assert "PLANTED" not in json.dumps(rest)


@given(documents)
def test_a_shown_document_that_comes_back_changes_nothing(document):
    rest, found = block_secrets.take_out(document, FIELDS)
    shown = block_secrets.put_masks(rest, [path for path, _ in found])
    assert "PLANTED" not in json.dumps(shown)
    assert block_secrets.keep_masked(shown, document, FIELDS) == document


@given(documents)
def test_a_mask_is_never_kept_as_a_value(document):
    with pytest.raises(Invalid, match="cannot be one"):
        block_secrets.keep_masked({**document, "password": MASK}, {}, FIELDS)


def test_null_says_that_a_secret_is_not_set_and_is_shown_as_such():
    rest, found = block_secrets.take_out({"password": None}, FIELDS)
    assert (rest, found) == ({"password": None}, [])


def test_what_is_no_object_where_the_schema_promises_one_is_secret_as_a_whole():
    rest, found = block_secrets.take_out({"extra": "text"}, FIELDS)
    assert rest == {"extra": None}
    assert found == [(("extra",), "text")]


def test_a_reference_is_left_alone():
    document = {"inner": {"$ref": {"block_document_id": "f126a6ea-cd5b-45bf-bbf7-a3db019df5cc"}}}
    assert block_secrets.take_out(document, FIELDS) == (document, [])


def test_references_are_found_and_replaced_at_any_depth():
    reference = {"$ref": {"block_document_id": "f126a6ea-cd5b-45bf-bbf7-a3db019df5cc"}}
    document = {"a": reference, "b": {"c": [1, reference]}, "schema": {"$ref": "#/definitions/X"}}
    assert [name for name, _ in block_references.find_references(document)] == ["a", "b.c.1"]
    assert block_references.replace_references(document, lambda _: "here") == {
        "a": "here",
        "b": {"c": [1, "here"]},
        "schema": {"$ref": "#/definitions/X"},
    }


def test_a_reference_to_what_is_no_id_is_refused():
    with pytest.raises(Invalid, match="'nope' is no id"):
        list(block_references.find_references({"a": {"$ref": {"block_document_id": "nope"}}}))
