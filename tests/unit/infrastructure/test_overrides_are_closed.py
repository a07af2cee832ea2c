"""Overrides in every syntax that there is: one effective configuration for one meaning, an error for every slip."""

import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.cli import assignments
from penstock.errors import ConfigurationError
from penstock.infrastructure import DockerContainer, KubernetesJob
from penstock.infrastructure.effective import Layer, effective, infrastructure_class, overridable
from penstock.infrastructure.override_places import Places
from penstock.infrastructure.overrides import apply_overrides, read_texts
from penstock.infrastructure.registry import known_types
from penstock.model.attempts import InfrastructureDocument
from penstock.model.base import JSONObject
from penstock.sdk.deployments import Deployment

TYPOS = 1000


def _schema(slug: str) -> JSONObject:
    return overridable(infrastructure_class(slug))


def _closed_names(places: Places, schema: JSONObject, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every name in a closed place, at any depth."""
    for name in places.names(schema) or ():
        yield (*above, name)
        yield from _closed_names(places, places.part(schema, name), (*above, name))
    if schema.get("type") == "array":
        yield from _closed_names(places, places.part(schema, "0"), (*above, "0"))


ALL = [(slug, path) for slug in known_types() for path in _closed_names(Places(_schema(slug)), _schema(slug))]


def _typo(name: str, chance: random.Random) -> str:
    """`name` with one letter too many, too few, wrong, or two of them swapped."""
    index = chance.randrange(len(name))
    letter = chance.choice(string.ascii_lowercase)
    return chance.choice(
        [
            name[:index] + letter + name[index:],
            name[:index] + name[index + 1 :],
            name[:index] + letter + name[index + 1 :],
            name[:index] + name[index + 1 : index + 2] + name[index : index + 1] + name[index + 2 :],
        ]
    )


def _typos() -> Iterator[tuple[str, tuple[str, ...], str]]:
    chance = random.Random(20)
    while True:
        slug, path = chance.choice(ALL)
        wrong = _typo(path[-1], chance)
        above = path[:-1]
        # a typing error leaves nothing of a name of two letters
        if (
            path[-1] != "0"
            and len(path[-1]) > 2
            and wrong
            and not any(known == slug and other == (*above, wrong) for known, other in ALL)
        ):
            yield slug, (*above, path[-1]), wrong


def test_a_thousand_typing_errors_are_a_thousand_errors_that_name_what_was_meant() -> None:
    found = _typos()
    named_exactly = 0
    for _ in range(TYPOS):
        slug, path, wrong = next(found)
        nested: Any = "x"
        for part in reversed((*path[:-1], wrong)):
            nested = {part: nested}
        forms: list[JSONObject] = [{".".join((*path[:-1], wrong)): "x"}, *([nested] if "0" not in path else [])]
        for form in forms:
            with pytest.raises(ConfigurationError) as refused:
                apply_overrides({}, form, _schema(slug), "here")
            message = refused.value.message
            assert (refused.value.code, message.startswith("here: ")) == ("unknown_override", True)
            assert f"there is no {wrong!r}" in message
            assert "Did you mean '" in message or f"There is {path[-1]}" in message or f", {path[-1]}" in message
        named_exactly += f"'{path[-1]}'?" in message
    assert named_exactly > 0.95 * TYPOS


# --- three syntaxes, one meaning

NAMES = st.text(string.ascii_letters, min_size=1, max_size=6)
TEXTS = st.text(string.ascii_letters + "-", min_size=1, max_size=6).filter(lambda text: text not in {"null", "true"})
VALUES = st.one_of(TEXTS, st.integers(0, 99), st.booleans())
TREES = st.fixed_dictionaries(
    {},
    optional={
        "env": st.dictionaries(NAMES, st.one_of(TEXTS, st.integers(0, 99), st.booleans()), min_size=1, max_size=3),
        "labels": st.dictionaries(st.from_regex(r"[a-z]{1,4}(\.[a-z]{1,4})?(/[a-z]{1,3})?", fullmatch=True), VALUES, min_size=1, max_size=3),
        "namespace": st.sampled_from(["dev", "prod"]),
        "image_pull_policy": st.sampled_from(["Always", "Never", "IfNotPresent"]),
        "finished_job_ttl": st.integers(0, 999),
        "stream_output": st.booleans(),
        "command": st.lists(TEXTS, min_size=1, max_size=3),
        "job": st.fixed_dictionaries(
            {},
            optional={
                "metadata": st.fixed_dictionaries({"annotations": st.dictionaries(st.from_regex(r"[a-z]{1,4}\.io/[a-z]{1,3}", fullmatch=True), VALUES, min_size=1, max_size=2)}),
                "spec": st.fixed_dictionaries({"suspend": st.booleans(), "activeDeadlineSeconds": st.integers(1, 99)}),
            },
        ),
    },
)  # fmt: skip


def _flat(tree: JSONObject, places: Places, schema: JSONObject, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        path = f"{above}.{name}" if above else name
        if isinstance(value, dict):
            yield from _flat(value, places, places.part(schema, name), path)
        else:
            yield path, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(tree=TREES, data=st.data())
def test_dotted_nested_and_json_forms_give_one_effective_configuration(tree: JSONObject, data: st.DataObject) -> None:
    slug = "kubernetes-job"
    schema = _schema(slug)
    document = InfrastructureDocument(
        slug=slug, data=KubernetesJob(image="flows:1", env={"OWN": "1"}).model_dump(mode="json")
    )
    flat = dict(_flat(tree, Places(schema), schema))
    dotted = [f"{path}={_text(value)}" for path, value in data.draw(st.permutations([*flat.items()]))]
    jsons = [f"{name}={_text(value)}" for name, value in tree.items()]

    def typed(words: list[str]) -> JSONObject:
        return read_texts(assignments.texts(words, "--override"), schema)

    forms: list[Any] = [
        tree,
        flat,
        json.dumps(tree),
        yaml.safe_load(yaml.safe_dump(tree)),
        typed(dotted),
        typed(jsons),
    ]
    found = [effective(slug, document, [Layer("here", form)]).infrastructure for form in forms]
    assert all(other == found[0] for other in found[1:])
    for name, value in tree.get("env", {}).items():
        assert found[0].env[name] == _text(value)


@pytest.mark.parametrize(
    ("overrides", "effect"),
    [
        ({"env": {}, "env.X": "1"}, {"OWN": "1", "X": "1"}),
        ({"env.X": "1", "env": {}}, {"OWN": "1", "X": "1"}),
        ({"env.X": "1", "env": {"Y": 2}}, {"OWN": "1", "X": "1", "Y": "2"}),
        ({"env.X": "1", "env": '{"X": 1}'}, {"OWN": "1", "X": "1"}),
        ({"env": {"OWN": None}}, {"OWN": None}),
        ({"env.A.B": "1"}, {"OWN": "1", "A.B": "1"}),
        ({"env.NULL": "null"}, {"OWN": "1", "NULL": "null"}),
    ],
)
def test_overrides_have_no_order_and_objects_add_to_what_is_there(
    overrides: JSONObject, effect: dict[str, str | None]
) -> None:
    document = InfrastructureDocument(slug="process", data={"env": {"OWN": "1"}})
    assert effective("process", document, [Layer("here", overrides)]).infrastructure.env == effect


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"env.X": "1", "env": {"X": "2"}}, "'env.X' to '1' already"),
        ({"env": {"X": "2"}, "env.X": "1"}, "'env.X' to '2' already"),
        ({"networks": ["a"], "networks.0": "b"}, "a part of it"),
        ({"networks.0": "b", "networks": ["a"]}, "a part of it"),
        ({"env": None, "env.X": "1"}, "a part of it"),
    ],
)
def test_what_contradicts_itself_is_refused_in_whichever_order(overrides: JSONObject, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"here: .*cannot be set") as refused:
        apply_overrides({}, overrides, _schema("docker-container"), "here")
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("slug", "overrides", "said"),
    [
        ("docker-container", {"networks": "a"}, "networks: it has to be a list, not 'a'"),
        ("docker-container", {"privileged": "perhaps"}, "privileged: it has to be true or false, not 'perhaps'"),
        ("docker-container", {"image.tag": "1"}, "'image' is a text, which has no 'tag'"),
        ("docker-container", {"env": "x"}, "env: it has to be an object, not 'x'"),
        ("docker-container", {"networks.x": "a"}, "'networks' is a list, which has no 'x'"),
        ("ecs-task", {"cpu": "lots"}, "cpu: it has to be a whole number, not 'lots'"),
        ("ecs-task", {"launch_type": "FARGAT"}, "Did you mean 'FARGATE'"),
        ("ecs-task", {"task_definition.containerDefinitions.0.nam": "x"}, "Did you mean 'name'"),
        ("kubernetes-job", {"image_pull_policy": "Alway"}, "Did you mean 'Always'"),
        ("kubernetes-job", {"job.spec.template.spec.containers.0.ressources": {}}, "Did you mean 'resources'"),
        ("kubernetes-job", {"job": {"spec": {"template": {"spce": {}}}}}, "'spce' in 'job.spec.template'"),
        ("kubernetes-job", {"job.spec.template.spec.containers.7.image": "x"}, "a list of 1 has no item '7'"),
        ("kubernetes-job", {"customizations": '[{"op": "ad", "path": "/x"}]'}, "Did you mean 'add'"),
    ],
)
def test_a_wrong_value_is_told_with_its_place_and_what_belongs_there(
    slug: str, overrides: JSONObject, said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        effective(slug, None, [Layer("job_variables of flow run 'owl'", overrides)])
    assert said in refused.value.message
    assert "job_variables of flow run 'owl'" in refused.value.message


def test_a_union_of_blocks_has_the_names_of_all_of_them() -> None:
    schema = _schema("azure-container-instance-job")
    for name in ("username", "identity", "registry_url"):
        apply_overrides({}, {f"image_registry.{name}": "x"}, schema, "here")
    with pytest.raises(ConfigurationError, match="Did you mean 'identity'"):
        apply_overrides({}, {"image_registry.identiy": "x"}, schema, "here")


def test_a_dot_that_belongs_to_a_name_can_be_written() -> None:
    found = apply_overrides(
        {}, {r"aws_credentials.aws_client_parameters.config.user\.agent": "x"}, _schema("ecs-task"), "here"
    )
    assert found["aws_credentials"]["aws_client_parameters"]["config"] == {"user.agent": "x"}


def test_what_only_the_class_would_have_put_there_is_there_to_be_changed() -> None:
    found = effective("kubernetes-job", None, [Layer("here", {"job.spec.suspend": True})]).infrastructure
    assert isinstance(found, KubernetesJob)
    assert found.job["spec"]["suspend"] is True
    assert found.job["kind"] == "Job"


def test_a_deployment_file_and_the_class_read_overrides_alike(tmp_path: Path) -> None:
    fields: JSONObject = {"env.A": True, "labels": {"b": 1}, "networks": '["n"]'}
    deployment = Deployment(
        name="n", flow_name="f", infrastructure=DockerContainer(image="x:1"), infra_overrides=fields
    )
    deployment.to_yaml(tmp_path / "it.yaml")
    again = Deployment.load_from_yaml(tmp_path / "it.yaml")
    both = [effective("docker-container", None, [Layer("here", one.infra_overrides)]) for one in (deployment, again)]
    assert both[0].infrastructure == both[1].infrastructure
    assert isinstance(both[0].infrastructure, DockerContainer)
    assert (both[0].infrastructure.env, both[0].infrastructure.networks) == ({"A": "true"}, ["n"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"activeDeadlineSecnds": 1}, "'activeDeadlineSecnds' in spec. Did you mean 'activeDeadlineSeconds'?"),
        ({"template": {"spec": {"nodeSelctor": {}}}}, "Did you mean 'nodeSelector'?"),
        ({"template": {"spec": {"containers": [{"name": "a", "imagePulPolicy": "x"}]}}}, "'imagePullPolicy'"),
    ],
)
def test_a_slip_in_the_manifest_of_a_block_is_told_for_kubernetes_would_drop_it(change: JSONObject, said: str) -> None:
    job = KubernetesJob.base_job_manifest()
    template = change.pop("template", {"spec": {}})
    job["spec"] |= change
    job["spec"]["template"]["spec"] |= template["spec"]
    with pytest.raises(ValueError, match="there is no") as refused:
        KubernetesJob(image="flows:1", job=job)
    assert said in str(refused.value)


def test_a_field_that_a_newer_kubernetes_may_have_is_left_alone_in_the_manifest_of_a_block() -> None:
    job = KubernetesJob.base_job_manifest()
    job["spec"]["quantumScheduling"] = {"labels": 1}
    job["spec"]["template"]["metadata"] = {"annotations": {"backoffLimits": "x"}}
    assert KubernetesJob(image="flows:1", job=job).job["spec"]["quantumScheduling"] == {"labels": 1}
