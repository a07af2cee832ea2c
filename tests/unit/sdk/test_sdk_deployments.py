"""Deployments before the server knows them: built from flows, written to files, read back, refused when wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from penstock import flow
from penstock.deployments import Deployment
from penstock.errors import ConfigurationError, ParameterError
from penstock.infrastructure import Process
from penstock.model.schedules import CronSchedule, IntervalSchedule
from penstock.sdk.deployment_file import parse
from penstock.sdk.deployment_yaml import BUILT_FROM, EDITABLE, GENERATED, dump
from penstock.storage.local import LocalFileSystem


@flow
def greet(name: str = "world", times: int = 1) -> None:
    """Greets."""


@flow
def takes_all(x: int, **rest: Any) -> None:
    pass


def _build(**fields: Any) -> Deployment:
    return Deployment.build_from_flow(greet, "nightly", load_existing=False, **fields)


def test_a_deployment_tells_what_its_flow_is_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    built = _build()
    assert (built.flow_name, built.description) == ("greet", "Greets.")
    assert built.version is not None
    assert len(built.version) == 32
    assert built.entrypoint == f"{Path(__file__).resolve().as_posix()}:greet"
    assert built.path == str(tmp_path)
    assert built.work_queue_name == "default"
    assert list(built.parameter_openapi_schema["properties"]) == ["name", "times"]


def test_an_entrypoint_below_the_current_folder_is_relative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    assert _build().entrypoint == "test_sdk_deployments.py:greet"


def test_a_file_has_the_known_order_and_is_read_back_as_it_was(tmp_path: Path) -> None:
    built = _build(
        tags=["a"],
        parameters={"name": "x", "times": 3},
        schedule=CronSchedule(cron="0 9 * * 1-5", timezone="Europe/Berlin"),
        infra_overrides={"env.A": "b", "stream_output": "false"},
        infrastructure=Process(env={"B": "c"}, working_dir="/tmp"),
        version="7",
        output=tmp_path / "file.yaml",
    )
    text = (tmp_path / "file.yaml").read_text()
    found = yaml.safe_load(text)
    assert list(found) == [*EDITABLE, "infrastructure", *GENERATED, BUILT_FROM]
    assert found["version"] == "7"
    assert list(found["infrastructure"])[:5] == ["type", "env", "labels", "name", "command"]
    assert list(found["infrastructure"])[-2:] == ["block_type_slug", "_block_type_slug"]
    assert "DO NOT EDIT BELOW" in text
    assert Deployment.load_from_yaml(tmp_path / "file.yaml") == built


PREFECT_2_FILE = """\
###
### A file of another program
###
name: dep2
description: Says hello.
version: '7'
# comment
work_queue_name: q2
work_pool_name: null
tags: []
parameters: {}
schedule:
  interval: 3600.0
  anchor_date: '2026-11-22T13:10:21+00:00'
  timezone: UTC
schedules: []
is_schedule_active: null
infra_overrides:
  env.A: b
infrastructure:
  type: process
  env: {}
  labels: {}
  name: null
  command:
  - python
  - -m
  - something.engine
  stream_output: true
  working_dir: null
  block_type_slug: process
  _block_type_slug: process

###
### DO NOT EDIT BELOW THIS LINE
###
flow_name: hello-flow
manifest_path: null
storage: null
path: /home/me/wk
entrypoint: hello.py:hello
parameter_openapi_schema:
  title: Parameters
  type: object
  properties:
    name:
      title: name
      default: world
      position: 0
      type: string
  required: null
  definitions: null
timestamp: '2026-11-22T13:10:32.948767+00:00'
triggers: []
enforce_parameter_schema: null
"""


def test_a_file_of_prefect_2_is_read(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(PREFECT_2_FILE)
    found = Deployment.load_from_yaml(tmp_path / "old.yaml")
    assert found.name == "dep2"
    assert isinstance(found.schedule, IntervalSchedule)
    assert found.schedule.interval == 3600
    assert found.infra_overrides == {"env.A": "b"}
    assert found.infrastructure == Process(command=["python", "-m", "something.engine"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("work_queue_name:", "work_queue:", "work_queue"),
        ("stream_output:", "streem_output:", "Did you mean 'stream_output'"),
        ("type: process", "type: docker", "type"),
        ("_slug: process", "_slug: proces", "Did you mean 'process'"),
        ("name: dep2", "name: a/b", "may not contain"),
        ("name: dep2", "name:", "'name' is missing"),
        ("tags: []", "tags: {a: 1}", "tags"),
        ("triggers: []", "triggers: [x]", "triggers"),
        ("interval: 3600.0", "interval: -1", "schedule"),
        ("env: {}", "env: {A: '********'}", "masked secret"),
        ("  name: null", "  name: [", "not valid YAML"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in PREFECT_2_FILE
    (tmp_path / "wrong.yaml").write_text(PREFECT_2_FILE.replace(old, new, 1 if "slug" not in old else -1))
    with pytest.raises(ConfigurationError) as refused:
        Deployment.load_from_yaml(tmp_path / "wrong.yaml")
    assert said in refused.value.message
    assert "wrong.yaml" in refused.value.message or "block type" in refused.value.message


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.yaml"):
        Deployment.load_from_yaml("nothing.yaml")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"work_queue": "q"}, "work_queue"),
        ({"tgas": []}, "Did you mean 'tags'"),
        ({"infra_overrides": {"envv.A": "b"}}, "Did you mean 'env'"),
        ({"infra_overrides": {"stream_output": "sometimes"}}, "stream_output"),
        ({"storage": Process()}, "keeps no files"),
        ({"infrastructure": "process"}, "infrastructure"),
    ],
)
def test_wrong_fields_are_refused_with_the_nearest_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        _build(**fields)
    assert said in refused.value.message


def test_parameters_have_to_be_those_of_the_flow() -> None:
    with pytest.raises(ParameterError, match="Did you mean 'name'"):
        _build(parameters={"nmae": "x"})
    built = Deployment.build_from_flow(takes_all, "any", load_existing=False, parameters={"x": 1, "other": 2})
    assert built.parameters == {"x": 1, "other": 2}


def test_what_is_no_flow_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no flow"):
        Deployment.build_from_flow(print, "x", load_existing=False)  # type: ignore[arg-type]


def test_a_deployment_can_be_changed_and_is_checked_then() -> None:
    built = _build()
    built.update(tags=["x"], version=3, description=None, ignore_none=True)
    assert (built.tags, built.version, built.description) == (["x"], "3", "Greets.")
    with pytest.raises(ConfigurationError, match="Did you mean 'tags'"):
        built.update(tgas=[])
    with pytest.raises(ConfigurationError, match="tags"):
        built.update(tags=5)


def test_code_is_uploaded_to_storage_without_what_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "keep.py").write_text("x = 1\n")
    (source / "drop.log").write_text("x\n")
    (source / ".penstockignore").write_text("*.log\n")
    monkeypatch.chdir(source)
    built = _build(
        storage=LocalFileSystem(basepath=str(target)), ignore_file=".penstockignore", entrypoint="keep.py:greet"
    )
    assert (target / "keep.py").exists()
    assert not (target / "drop.log").exists()
    assert built.location == str(target)


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=["C"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcdef.", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcdef", min_size=1), _plain, max_size=4), st.booleans())
def test_whatever_the_parameters_are_the_file_keeps_them(parameters: dict[str, Any], saved: bool) -> None:
    values: dict[str, Any] = dict.fromkeys((*EDITABLE, *GENERATED, "infrastructure"))
    values.update(name="n", flow_name="f", parameters=parameters)
    assert parse(dump(values, saved_infrastructure=saved), "here").values["parameters"] == parameters
