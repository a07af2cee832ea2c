from typing import Any

import pytest

from penstock.errors import ConfigurationError
from penstock.infrastructure.overrides import apply_overrides, refuse_secrets

SCHEMA: dict[str, Any] = {
    "properties": {
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "command": {"type": "array", "items": {"type": "string"}},
        "stream_output": {"type": "boolean"},
        "image": {"type": "string"},
        "job": {"type": "object"},
        "registry": {"allOf": [{"$ref": "#/definitions/Registry"}]},
    },
    "definitions": {"Registry": {"properties": {"username": {"type": "string"}, "url": {"type": "string"}}}},
}


def test_a_dotted_key_sets_one_entry_of_a_map_and_leaves_the_others() -> None:
    assert apply_overrides({"env": {"A": "1"}}, {"env.B": "2"}, SCHEMA) == {"env": {"A": "1", "B": "2"}}


def test_a_map_that_is_not_there_is_made() -> None:
    assert apply_overrides({}, {"env.B": None}, SCHEMA) == {"env": {"B": None}}
    assert apply_overrides({"env": None}, {"env.B": "2"}, SCHEMA) == {"env": {"B": "2"}}


def test_the_key_of_a_label_may_have_dots() -> None:
    data = apply_overrides({}, {"labels.app.kubernetes.io/name": "x"}, SCHEMA)
    assert data == {"labels": {"app.kubernetes.io/name": "x"}}


def test_a_nested_object_is_merged() -> None:
    data = apply_overrides({"env": {"A": "1", "B": "2"}}, {"env": {"B": "3"}}, SCHEMA)
    assert data == {"env": {"A": "1", "B": "3"}}


def test_overrides_may_be_json_text() -> None:
    assert apply_overrides({}, '{"image": "x"}', SCHEMA) == {"image": "x"}
    assert apply_overrides({}, "", SCHEMA) == {}


def test_text_for_what_is_no_text_is_read_as_json() -> None:
    data = apply_overrides({}, {"command": '["a", "b"]', "stream_output": "false", "image": "1"}, SCHEMA)
    assert data == {"command": ["a", "b"], "stream_output": False, "image": "1"}


def test_a_free_object_is_open_at_any_depth_lists_included() -> None:
    before = {"job": {"spec": {"containers": [{"name": "a"}, {"name": "b", "image": "old"}]}}}
    after = apply_overrides(before, {"job.spec.containers.1.image": "new", "job.spec.backoffLimit": 0}, SCHEMA)
    assert after["job"]["spec"] == {"containers": [{"name": "a"}, {"name": "b", "image": "new"}], "backoffLimit": 0}
    assert before["job"]["spec"]["containers"][1] == {"name": "b", "image": "old"}  # the original is untouched


def test_an_item_can_be_added_to_a_list_at_its_end() -> None:
    after = apply_overrides({"job": {"list": [1]}}, {"job.list.1": 2}, SCHEMA)
    assert after == {"job": {"list": [1, 2]}}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"imge": "x"}, "'image'"),
        ({"registry.usrname": "x"}, "'username'"),
        ({"registry": {"usrname": "x"}}, "'username'"),
        ({"image.tag": "x"}, "'tag'"),
        ({"job.list.7": "x"}, "'7'"),
        ({"": "x"}, "''"),
        ("[1]", "object"),
        ("{", "JSON"),
    ],
)
def test_what_cannot_be_is_refused_with_the_place_and_the_nearest_name(overrides: Any, said: str) -> None:
    data = {"image": "x", "job": {"list": [1]}}
    with pytest.raises(ConfigurationError) as refused:
        apply_overrides(data, overrides, SCHEMA, place="job_variables of flow run 'owl'")
    assert "job_variables of flow run 'owl'" in refused.value.message
    assert said in refused.value.message


SECRETS = ["password", "registry.password", "keys.*"]


@pytest.mark.parametrize(
    "overrides",
    [
        {"password": "x"},
        {"registry.password": "x"},
        {"registry": {"password": "x", "username": "u"}},
        {"registry": '{"password": "x"}'},
        {"keys.a": "x"},
        {"keys": {"a.b": "x"}},
        {"keys.a": {"b": "x"}},
        {"password": 7},
    ],
)
def test_a_secret_is_no_override_however_it_is_written(overrides: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="is a secret, and overrides are kept in clear") as caught:
        refuse_secrets(overrides, SECRETS, "infra_overrides")
    assert caught.value.code == "secret_override"
    assert "'x'" not in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"registry.username": "x", "env.password": "x", "passwords": "x"},
        {"registry": {"username": "x"}},
        {"password": None, "registry.password": "", "keys": {}},
        {"password": "${env:PASSWORD}"},
    ],
)
def test_what_is_no_secret_or_only_refers_to_one_may_be_overridden(overrides: dict[str, Any]) -> None:
    refuse_secrets(overrides, SECRETS, "infra_overrides")
