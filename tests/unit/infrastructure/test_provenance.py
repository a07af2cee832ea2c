"""Where every value of an effective configuration came from, told by what set it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.infrastructure import DockerContainer, KubernetesJob
from penstock.infrastructure.effective import Effective, Layer, effective
from penstock.infrastructure.provenance import differences, origins
from penstock.infrastructure.sample import sample_job
from penstock.model.attempts import InfrastructureDocument

BLOCK = DockerContainer(
    image="flows:1",
    env={"MINE": "1", "BOTH": "1", "A_PASSWORD": "hunter2"},
    networks=["a", "b"],
    mem_limit="1g",
)


def _effective(*layers: Layer, block: Any = BLOCK) -> Effective:
    slug = block.get_block_type_slug()
    return effective(slug, InfrastructureDocument(slug=slug, data=block.model_dump(mode="json")), layers)


def _sources(found: Effective, **more: Any) -> dict[str, tuple[Any, str]]:
    return {origin.path: (origin.value, origin.source) for origin in origins(found, "the block", **more)}


def test_each_value_has_the_source_that_set_it_last() -> None:
    found = _sources(
        _effective(
            Layer("deployment", {"env.BOTH": "2", "labels": {"team": "data"}, "networks": ["c"]}),
            Layer("run", {"env": {"BOTH": "3"}, "mem_limit": "2g"}),
        )
    )
    assert found["env.MINE"] == ("1", "the block")
    assert found["env.BOTH"] == ("3", "run")
    assert found["labels.team"] == ("data", "deployment")
    assert found["networks"] == (["c"], "deployment")
    assert found["mem_limit"] == ("2g", "run")
    assert found["image"] == ("flows:1", "the block")
    assert found["privileged"] == (False, "default")


def test_a_value_that_several_layers_have_set_parts_of_names_them_all() -> None:
    found = _sources(_effective(Layer("deployment", {"networks.0": "x"}), Layer("run", {"networks.1": "y"})))
    assert found["networks"] == (["x", "y"], "deployment, run")


def test_places_in_a_manifest_are_told_one_by_one() -> None:
    path = "job.spec.template.spec.containers.0"
    layer = Layer("run", {f"{path}.resources.limits.nvidia.com/gpu": 1})
    found = _sources(_effective(layer, block=KubernetesJob(image="flows:1")))
    assert found[f"{path}.resources.limits.nvidia.com/gpu"] == (1, "run")
    assert found[f"{path}.name"] == ("penstock-job", "default")


def test_a_layer_that_replaces_all_of_what_another_set_part_of_is_the_only_source() -> None:
    found = _sources(_effective(Layer("deployment", {"networks.0": "x"}), Layer("run", {"networks": ["z"]})))
    assert found["networks"] == (["z"], "run")


def test_what_agent_and_run_bring_along_is_told_and_the_block_wins_over_it() -> None:
    job = sample_job("http://api", {"PENSTOCK_LOGGING_LEVEL": "DEBUG", "MINE": "the agent's"}, deployment_name="d")
    found = _sources(_effective(), job=job)
    assert found["env.PENSTOCK_API_URL"] == ("http://api", "agent")
    assert found["env.PENSTOCK_LOGGING_LEVEL"] == ("DEBUG", "agent")
    assert found["env.MINE"] == ("1", "the block")
    assert found["env.PENSTOCK__ATTEMPT_TOKEN"] == ("********", "run")
    assert found["labels.penstock.io/deployment-name"] == ("d", "run")


def test_no_secret_is_told() -> None:
    assert "hunter2" not in str(_sources(_effective(Layer("run", {"env.B_TOKEN": "hunter2"}))))


def test_two_configurations_differ_where_they_do() -> None:
    before = _effective().infrastructure.snapshot()
    after = _effective(Layer("run", {"env.MINE": "2", "labels.x": "y"})).infrastructure.snapshot()
    assert differences(before, before) == []
    assert differences(before, after) == [("env.MINE", "1", "2"), ("labels.x", None, "y")]


NAMES = st.sampled_from(["env.A", "env.B", "env.MINE", "labels.x", "mem_limit", "name"])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.dictionaries(NAMES, st.sampled_from(["7m", "8m", "9m"])), max_size=3))
def test_the_source_of_a_value_is_always_the_last_layer_that_names_it(layers: list[dict[str, str]]) -> None:
    found = _sources(_effective(*(Layer(f"layer {index}", layer) for index, layer in enumerate(layers))))
    for path in {path for layer in layers for path in layer}:
        last = max(index for index, layer in enumerate(layers) if path in layer)
        assert found[path] == (layers[last][path], f"layer {last}")
