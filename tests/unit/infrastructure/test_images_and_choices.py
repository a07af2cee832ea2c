"""Names of images, fields with few words, JSON patches."""

from enum import Enum

import jsonpatch
import pytest

from penstock.infrastructure.choices import read_choice
from penstock.infrastructure.images import check_image, default_image
from penstock.infrastructure.patches import check_patch, read_patch
from penstock.version import __version__


class Colour(Enum):
    DARK_RED = "DarkRed"
    BLUE = "Blue"


@pytest.mark.parametrize(
    "name",
    [
        "python",
        "python:3.11-slim",
        "library/python:3.11",
        "localhost:5000/team/flows",
        "registry.example.com:5000/team/flows:1.0",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/flows:1",
        "Registry.Example.com/team/flows",
        "[::1]:5000/flows",
        "a__b/c--d",
        "flows@sha256:" + "a" * 64,
        "flows:1@sha256:" + "a" * 64,
        default_image(),
    ],
)
def test_names_of_images_are_taken_as_they_are(name: str):
    assert check_image(name) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "names no image"),
        ("flows:", "not ''"),
        ("Flows:1", "lower case: 'flows'"),
        ("flows:a b", "'a b'"),
        ("flows:" + "a" * 129, "up to 128"),
        ("flows@sha256:12", "no digest"),
        ("https://registry.example.com/flows", "write"),
        ("a/b/", "write"),
    ],
)
def test_what_names_no_image_is_refused_with_the_reason(name: str, said: str):
    with pytest.raises(ValueError, match="names no image") as caught:
        check_image(name)
    assert said in str(caught.value)


def test_the_default_image_has_this_version_and_this_python():
    assert default_image("1.2.3", (3, 12)) == "penstock/penstock:1.2.3-python3.12"
    assert default_image("1.2.3+local.4", (3, 12)) == "penstock/penstock:dev-python3.12"
    assert len(default_image("1!" + "2" * 200, (3, 12)).partition(":")[2]) == 128
    assert f":{__version__}-python3." in default_image()


@pytest.mark.parametrize("text", ["DarkRed", "DARK_RED", "dark-red", "darkred", "Dark Red"])
def test_a_word_is_understood_however_it_is_spelt(text: str):
    assert read_choice(text, Colour) is Colour.DARK_RED


def test_a_word_that_means_none_is_refused_with_the_nearest_and_all():
    with pytest.raises(ValueError, match="there is no 'bleu'") as caught:
        read_choice("bleu", Colour)
    assert str(caught.value).endswith("Did you mean 'Blue'? It is one of DarkRed, Blue.")
    assert read_choice("gi", ("G", "Gi")) == "Gi"


@pytest.mark.parametrize("value", [None, Colour.BLUE, 7])
def test_what_is_no_text_is_left_to_the_field(value: object):
    assert read_choice(value, Colour) is value


OPERATION = {"op": "add", "path": "/a", "value": {"b": 1}}


@pytest.mark.parametrize(
    "value",
    [
        [OPERATION],
        (OPERATION,),
        jsonpatch.JsonPatch([OPERATION]),
        '[{"op": "add", "path": "/a", "value": {"b": 1}}]',
        "- op: add\n  path: /a\n  value: {b: 1}\n",
    ],
)
def test_patches_are_read_from_lists_objects_and_text(value: object):
    assert read_patch(value) == [OPERATION]


def test_no_patches_are_none():
    assert read_patch(None) == read_patch("") == read_patch([]) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (OPERATION, r"put this one into \[ \]"),
        (7, "not int"),
        ("[{", "neither JSON nor YAML"),
        (["x"], r"operation 0 is none"),
        ([OPERATION, {"op": "ad", "path": "/a", "value": 1}], r"operation 1: .*Did you mean 'add'"),
        ([{"path": "/a"}], "no operation None"),
        ([{"op": "add", "path": "/a"}], "needs 'value'"),
        ([{"op": "add", "path": "/a", "vaule": 1}], "no 'vaule'. Did you mean 'value'"),
        ([{"op": "move", "path": "/a"}], "needs 'from'"),
        ([{"op": "remove"}], "needs 'path'"),
        ([{"op": "remove", "path": "spec.template"}], "/spec/template"),
        ([{"op": "remove", "path": 7}], "not 7"),
    ],
)
def test_what_is_no_patch_is_refused_with_the_place_and_the_reason(value: object, said: str):
    with pytest.raises(ValueError, match=said):
        read_patch(value)


DOCUMENT = {"spec": {"template": {"containers": [{"name": "x"}]}, "count": 1, "a/b": 2}}


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "add", "path": "/spec/template/containers/0/resources", "value": {}}],
        [{"op": "add", "path": "/spec/template/containers/-", "value": {}}],
        [{"op": "add", "path": "/spec/template/containers/1", "value": {}}],
        [{"op": "add", "path": "/x", "value": {}}, {"op": "add", "path": "/x/y", "value": 1}],
        [{"op": "replace", "path": "/spec/a~1b", "value": 3}],
        [{"op": "test", "path": "/spec/count", "value": 9}],
        [{"op": "copy", "path": "/y", "from": "/spec/count"}],
    ],
)
def test_patches_that_fit_the_shape_pass_whatever_values_they_test(patch: list):
    check_patch(patch, DOCUMENT, "patches")
    assert DOCUMENT["spec"]["count"] == 1


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (
            {"op": "add", "path": "/spec/templates/containers/0/x", "value": 1},
            "no 'templates' in '/spec'. Did you mean",
        ),
        ({"op": "add", "path": "/spec/template/containers/2", "value": 1}, "a list of 1, which has no item '2'"),
        ({"op": "remove", "path": "/spec/template/containers/-"}, "no item '-'"),
        ({"op": "replace", "path": "/spec/x", "value": 1}, "'add' sets what is not there yet"),
        ({"op": "remove", "path": "/spec/counts"}, "Did you mean 'count'"),
        ({"op": "move", "path": "/z", "from": "/spec/nowhere"}, "no 'nowhere'"),
        ({"op": "add", "path": "/spec/count/x", "value": 1}, "'/spec/count' has no parts"),
    ],
)
def test_a_patch_that_leads_nowhere_names_the_part_that_is_missing(operation: dict, said: str):
    with pytest.raises(ValueError, match=r"patches\[0\]") as caught:
        check_patch([operation], DOCUMENT, "patches")
    assert said in str(caught.value)
